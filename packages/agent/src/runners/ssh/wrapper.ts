/** Puts the programs for the host together: values are quoted for the shell, and everything goes over standard input. */
import type { SshSpec } from "fleetcron-shared/model/runners/ssh-spec";
import { COMMON, FOLLOW, GO_ON, KEEPER, KILL, NOTE_PID, REMOVE, START, TREE, WATCHDOG } from "./wrapper-parts.ts";

/** What all programs of a session have in common. */
export type WrapperContext = {
  /** Of this one exchange: marks what the program tells. Letters and digits. */
  readonly nonce: string;
  /** `<execution>-<attempt>` */
  readonly id: string;
  /** The POSIX shell on the host. */
  readonly shell: string;
  /** Folders that exist on the host and outlive a connection, the first usable one is taken. Without blanks. */
  readonly bases: readonly string[];
};

export type WrappedCommand = {
  readonly spec: Pick<SshSpec, "script" | "argv" | "shell" | "cwd" | "stdin">;
  /** Exported to the command, secrets included. */
  readonly env: Readonly<Record<string, string>>;
  /** The host itself ends the command after this; undefined: never. */
  readonly timeoutMs: number | undefined;
  readonly killGraceMs: number;
  /** Standard error is kept apart from the log. */
  readonly errorsApart: boolean;
};

/** Names that a shell keeps for itself: exporting them would end it. */
export const SHELL_OWN: readonly string[] = ["PPID", "UID", "EUID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO", "LINENO", "_"];

// The agent's own timeout comes first when the connection is there.
const LATER_SECONDS = 1;

/** The first variable that no shell can be given: its name would be taken for something else, or its value has a NUL. */
export function unusableVariable(env: Readonly<Record<string, string>>): string | undefined {
  return Object.entries(env).find(([name, value]) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes("\0"))?.[0];
}

/** What is run by the user's login shell, whichever that is; the program follows on standard input. Nothing of a job is in it. */
export function bootstrap(shell: string): string {
  return `exec ${shell} -c 'eval "$(cat)"'`;
}

export function startProgram(context: WrapperContext, command: WrappedCommand): string {
  const { timeoutMs, killGraceMs } = command;
  const watch = { FC_SECONDS: Math.ceil((timeoutMs ?? 0) / 1000) + LATER_SECONDS, FC_GRACE: Math.ceil(killGraceMs / 1000) };
  return [
    head(context),
    COMMON,
    FOLLOW,
    assign({
      FC_STDIN: command.spec.stdin ?? "",
      FC_KEEPER: `${head(context)}${assign({ FC_ERR: command.errorsApart ? "err" : "out", FC_CMD: commandText(context, command) })}${COMMON}${KEEPER}`,
      FC_WATCH: timeoutMs === undefined ? "" : `${head(context)}${assign(watch)}${COMMON}${TREE}${WATCHDOG}`,
    }),
    START,
  ].join("");
}

/** `offset`: how many bytes of the output have arrived. */
export function goOnProgram(context: WrapperContext, offset: number): string {
  return `${head(context)}${COMMON}${FOLLOW}${assign({ FC_OFFSET: offset })}${GO_ON}`;
}

export function killProgram(context: WrapperContext, signal: "TERM" | "KILL"): string {
  return `${head(context)}${COMMON}${TREE}${assign({ FC_SIGNAL: signal })}${KILL}`;
}

export function removeProgram(context: WrapperContext): string {
  return `${head(context)}${COMMON}${REMOVE}`;
}

/** The last shell before the command: notes its pid, takes the variables, becomes the command. */
function commandText({ id }: WrapperContext, { spec, env }: WrappedCommand): string {
  const argv = spec.argv ?? [...(spec.shell ?? ["/bin/sh", "-c"]), spec.script ?? ""];
  const exported = Object.entries(env).filter(([name]) => !SHELL_OWN.includes(name));
  const folder = spec.cwd === undefined ? '"$FC_HOME"' : quote(spec.cwd);
  return [
    NOTE_PID,
    `cd ${folder} || { : >"$FC_D/refused"; exit 126; }`,
    'umask "$FC_UMASK"',
    'if [ -n "$FC_LC" ]; then LC_ALL=$FC_LCWAS; else unset LC_ALL; fi',
    "FLEETCRON_RESULT=$FC_D/result; export FLEETCRON_RESULT",
    `FLEETCRON_REMOTE=${quote(`/${id}/`)}; export FLEETCRON_REMOTE`,
    "unset FC_D FC_N FC_UMASK FC_HOME FC_LC FC_LCWAS FC_T FC_L",
    ...exported.filter(([name]) => name !== "FLEETCRON_RESULT").map(([name, value]) => `${name}=${quote(value)}; export ${name}`),
    `exec ${argv.map(quote).join(" ")}`,
    "",
  ].join("\n");
}

function head({ nonce, id, shell, bases }: WrapperContext): string {
  return assign({ FC_N: nonce, FC_ID: id, FC_SH: shell, FC_BASES: bases.join(" "), FC_LIVE: "" });
}

function assign(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${quote(String(value))}\n`)
    .join("");
}

/** Text as one word of the shell, with nothing in it that means something. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
