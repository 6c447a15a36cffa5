/**
 * A program that `up` starts: its own session (a Ctrl-C at the terminal reaches only `up`, which then ends its children in order), output in a
 * log file, and, where util-linux's `setpriv` is there, a SIGTERM from the kernel when `up` itself dies, even by SIGKILL.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import type { Clock } from "fleetcron-shared/base/clock";

export type ChildSpec = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
};

/** How a process ended: with a code or by a signal, or it could not be started. */
export type Ended = { readonly code: number | null; readonly signal: string | null; readonly error?: Error };

export type Child = {
  readonly spec: ChildSpec;
  readonly pid: number | undefined;
  readonly ended: Promise<Ended>;
  /** SIGTERM, after `graceMs` SIGKILL; resolves when the process is gone. Legal at any time. */
  stop(graceMs: number): Promise<Ended>;
  kill(): void;
};

/** A log file beyond this is set aside (one older one is kept) when its program starts. */
const LOG_BYTES = 8 * 2 ** 20;

/** The command that makes a program die with its parent, or nothing where there is none. */
export function parentDeathCommand(): readonly string[] {
  const command = ["setpriv", "--pdeathsig", "TERM", "--"];
  return spawnSync("setpriv", [...command.slice(1), "true"], { stdio: "ignore" }).status === 0 ? command : [];
}

export function startChild(deps: { clock: Pick<Clock, "after"> }, spec: ChildSpec, wrapper: readonly string[]): Child {
  const [command = spec.command, ...args] = [...wrapper, spec.command, ...spec.args];
  setAside(spec.logFile);
  const log = openSync(spec.logFile, "a", 0o600);
  let child: ChildProcess;
  try {
    child = spawn(command, args, { stdio: ["ignore", log, log], detached: true, env: spec.env });
  } finally {
    closeSync(log);
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once("error", (error) => resolve({ code: null, signal: null, error }));
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  return {
    spec,
    pid: child.pid,
    ended,
    async stop(graceMs) {
      child.kill("SIGTERM");
      const cancel = deps.clock.after(graceMs, () => child.kill("SIGKILL"));
      const how = await ended;
      cancel();
      return how;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

/** `exit code 2`, `signal SIGKILL`, or why it did not start. */
export function endText(ended: Ended): string {
  if (ended.error !== undefined) return ended.error.message;
  return ended.signal === null ? `exit code ${ended.code}` : `signal ${ended.signal}`;
}

/** The last lines that a program wrote for people, as one text; log lines in JSON give their message. */
export function lastWords(logFile: string): string {
  const lines = tail(logFile)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines
    .slice(-4)
    .map((line) => messageOf(line).trim())
    .join("; ");
}

function messageOf(line: string): string {
  try {
    const { msg, error } = JSON.parse(line) as { msg?: string; error?: string };
    return `${msg ?? line}${typeof error === "string" ? `: ${error}` : ""}`;
  } catch {
    return line;
  }
}

function tail(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-4000);
  } catch {
    return "";
  }
}

function setAside(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES) renameSync(path, `${path}.1`);
}
