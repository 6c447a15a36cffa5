/** Job ids for the entries of a crontab: readable from the command, unique, and a function of the entries alone, not of their order. */
import { hash32 } from "../base/hash.ts";

/** Segments of a command that begin with these only prepare; the next one says what is run. */
const PREPARATIONS = new Set([
  "cd",
  "test",
  "[",
  "[[",
  "sleep",
  "export",
  "set",
  "umask",
  "ulimit",
  "true",
  ":",
  "command",
  "if",
  "then",
  "while",
  "for",
  "do",
]);
/** Words that run the rest of the line. */
const WRAPPERS = new Set(
  "env nice ionice nohup time exec sudo chronic setsid systemd-cat logger flock timeout chrt taskset . source sh bash dash zsh ksh python perl php ruby node java".split(
    " ",
  ),
);
/** Their first operand is not the program. */
const TAKES_OPERAND = new Set(["flock", "timeout"]);
const MAX_LENGTH = 40;

/** What identifies an entry: its command with user and input, and when it runs. */
export type NamedEntry = { readonly command: string; readonly content: string };

/**
 * One id per entry, in order. An entry whose readable name nobody else has gets that; those that share one all get a suffix from their
 * content, so that adding, removing or moving lines never gives an id to another command.
 */
export function jobIds(entries: readonly NamedEntry[]): string[] {
  const bases = entries.map((entry) => readableName(entry.command));
  const levels: ((entry: NamedEntry, base: string) => string)[] = [
    (_, base) => base,
    (entry, base) => `${base}-${suffix(entry.command)}`,
    (entry, base) => `${base}-${suffix(entry.content)}`,
    (entry, base) => `${base}-${suffix(entry.content)}${suffix(`again ${entry.content}`)}`,
  ];
  const ids = entries.map(() => "");
  for (const level of levels) {
    const names = entries.map((entry, i) => ids[i] || level(entry, bases[i] ?? ""));
    const uses = new Map<string, number>();
    for (const name of names) uses.set(name, (uses.get(name) ?? 0) + 1);
    for (const [i, name] of names.entries()) if (uses.get(name) === 1) ids[i] = name;
  }
  return ids;
}

/** `backup` for `cd /srv && nice -n 10 ./backup.sh`, `artisan-schedule-run` for `php artisan schedule:run`. */
export function readableName(command: string): string {
  const segments = command.split(/&&|\|\||[;|(){}\n]/).map((segment) =>
    segment
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/["'`\\]/g, "")),
  );
  for (const words of segments) {
    const name = nameOf(words.filter((word) => word !== ""));
    if (name !== "") return name;
  }
  return "job";
}

function nameOf(words: string[]): string {
  const rest = [...words];
  let last = "";
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const name = programName(word);
    if (/^(-u|-g)$/.test(word)) rest.shift();
    if (/^-|^[\d.]+[smhd]?$|^[A-Za-z_]\w*=|^!$/.test(word) || name === "") continue;
    if (PREPARATIONS.has(word)) return "";
    if (!WRAPPERS.has(name.replace(/[\d.]+$/, ""))) return withOperand(name, rest);
    last = name;
    if (TAKES_OPERAND.has(name)) dropOperand(rest);
  }
  return last;
}

function dropOperand(rest: string[]): void {
  const at = rest.findIndex((word) => !word.startsWith("-"));
  if (at >= 0) rest.splice(0, at + 1);
}

/** The first argument tells many uses of one program apart; options, redirections and expansions do not read well. */
function withOperand(name: string, rest: readonly string[]): string {
  const operand = rest.find((word) => !word.startsWith("-"));
  const text = operand === undefined || /[<>$&=*?]|^\d/.test(operand) ? "" : programName(operand);
  return clean((text === "" ? name : `${name}-${text}`).slice(0, MAX_LENGTH));
}

function programName(word: string): string {
  return clean((word.split("/").findLast((part) => part !== "") ?? "").replace(/\.(sh|bash|py|pl|rb|php|js|ts|mjs|jar|phar)$/i, ""));
}

function clean(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[._-]+|[._-]+$/g, "");
}

function suffix(text: string): string {
  return hash32(text).toString(36).padStart(7, "0").slice(-6);
}
