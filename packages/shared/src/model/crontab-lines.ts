/** The lines of a crontab, told apart as cron does (crontab(5)); no line is left out. Pure text, no meaning yet. */

export type CrontabLine =
  | { readonly type: "blank"; readonly line: number }
  | { readonly type: "comment"; readonly line: number; readonly text: string; readonly look: CommentLook }
  | { readonly type: "env"; readonly line: number; readonly name: string; readonly value: string }
  | {
      readonly type: "entry";
      readonly line: number;
      readonly when: string;
      readonly user: string | undefined;
      readonly command: string;
      readonly stdin: string | undefined;
      readonly quiet: boolean;
    }
  | { readonly type: "unknown"; readonly line: number; readonly why: string };

/** `entry`: a line that was switched off · `decoration`: rulers, the column heads of distributions · `words`: what somebody wrote. */
export type CommentLook = "words" | "decoration" | "entry";

const FIELD = String.raw`[\w*/,~?#-]+`;
const WHEN = new RegExp(String.raw`^(?:@\S+|${FIELD}(?:\s+${FIELD}){4})(?=\s|$)`);
const ENV = /^(?:"([^"]*)"|'([^']*)'|([^\s="'#][^\s=]*))\s*=\s*(.*)$/;

/** Splits `text` into lines; `system` crontabs have a user before the command. */
export function readCrontabLines(text: string, system: boolean): CrontabLine[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines.map((raw, index) => readLine(raw.trim(), index + 1, system));
}

/**
 * The command and its input: the first `%` ends the command, later ones are line ends of its input; `\%` is a percent sign, any other backslash stays.
 * The input ends with a line end.
 */
export function splitPercent(text: string): { command: string; stdin: string | undefined } {
  const parts = [""];
  for (const piece of text.match(/\\.|[^\\]|\\$/gsu) ?? []) {
    if (piece === "%") parts.push("");
    else parts[parts.length - 1] += piece === "\\%" ? "%" : piece;
  }
  const [command = "", ...input] = parts;
  const stdin = input.join("\n");
  return { command: command.trimEnd(), stdin: input.length === 0 ? undefined : stdin.endsWith("\n") ? stdin : `${stdin}\n` };
}

function readLine(raw: string, line: number, system: boolean): CrontabLine {
  if (raw === "") return { type: "blank", line };
  if (raw.startsWith("#")) return readComment(raw, line);
  const env = ENV.exec(raw);
  if (env !== null) return { type: "env", line, name: env[1] ?? env[2] ?? env[3] ?? "", value: unquote((env[4] ?? "").trim()) };
  const quiet = /^-[\d*]/.test(raw);
  const text = quiet ? raw.slice(1) : raw;
  const when = WHEN.exec(text)?.[0];
  if (when === undefined)
    return { type: "unknown", line, why: "neither a comment, nor NAME=value, nor five time fields (or @word) and a command" };
  const rest = text.slice(when.length).trim();
  const [, user, tail] = system ? (/^(\S+)(?:\s+(.*))?$/s.exec(rest) ?? []) : [undefined, undefined, rest];
  const { command, stdin } = splitPercent(tail ?? "");
  if (command === "") return { type: "unknown", line, why: system ? "it has no command behind the user" : "it has no command" };
  return { type: "entry", line, when: when.split(/\s+/).join(" "), user, command, stdin, quiet };
}

function readComment(raw: string, line: number): CrontabLine {
  const text = raw.replace(/^#+\s?/, "").trimEnd();
  const words = text.trim();
  const head = /^(m\w*\s+h\w*\s+d|Example of job definition|[.|]\s*[-|.]|\|)/i.test(words) || words.includes("command to be executed");
  const plain = !/[\p{L}\p{N}]/u.test(words);
  const off = /^(@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|([\d*][\d*/,-]*)(\s+[\d*][\w*/,-]*){4})\s+\S/.test(words);
  return { type: "comment", line, text, look: head || plain ? "decoration" : off ? "entry" : "words" };
}

function unquote(text: string): string {
  const quote = text[0];
  return text.length > 1 && (quote === '"' || quote === "'") && text.endsWith(quote) ? text.slice(1, -1) : text;
}
