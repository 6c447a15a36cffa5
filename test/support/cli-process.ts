/** The `fleetcron` bin as a process, run to its end, with an environment of its own: what it printed and how it ended. */
import { spawn } from "node:child_process";
import type { ExecutionContext } from "ava";
import { binOf } from "./daemon.ts";

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string };
export type RunOptions = { readonly stdin?: string | Uint8Array; readonly env?: Readonly<Record<string, string>> };
/** `args` as one text is split at its spaces. */
export type Cli = (args: string | readonly string[], options?: RunOptions) => Promise<Ran>;

/** Commands run in `folder`, which is also their home; `bin` is another copy of the program. */
export function createCli(
  folder: string,
  env: Readonly<Record<string, string>> = {},
  more: { readonly bin?: string; readonly limitMs?: number } = {},
): Cli {
  return async (args, options = {}) => {
    const words = typeof args === "string" ? args.split(" ") : args;
    const child = spawn(process.execPath, [more.bin ?? binOf("fleetcron"), ...words], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...env, ...options.env },
      timeout: more.limitMs ?? 60_000,
      killSignal: "SIGKILL",
    });
    const text = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text.out += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      text.err += chunk;
    });
    // It may end without having read everything.
    child.stdin.on("error", () => {}).end(options.stdin ?? "");
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, ...text };
  };
}

export type Running = { out(): string; err(): string; readonly exited: Promise<number | null> };

/** A command that goes on; what it has printed so far. Killed after a minute, and with the test process. */
export function startCli(folder: string, args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [binOf("fleetcron"), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 90_000,
    killSignal: "SIGKILL",
  });
  const onExit = () => child.kill("SIGKILL");
  process.once("exit", onExit);
  child.once("close", () => process.off("exit", onExit));
  const text = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text.out += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text.err += chunk;
  });
  return { out: () => text.out, err: () => text.err, exited: new Promise((resolve) => child.once("close", resolve)) };
}

/** What one command must come to: its exit code and what it prints (`out`) or says on standard error (`err`). */
export type Expected = { readonly code: number; readonly out?: RegExp; readonly err?: RegExp };

/** Runs one command and holds it to what is expected; whatever it does, it shows no stack trace. */
export async function expectRun(
  t: ExecutionContext,
  cli: Cli,
  args: string | readonly string[],
  expected: Expected,
  options: RunOptions = {},
): Promise<Ran> {
  const ran = await cli(args, options);
  const shown = `fleetcron ${typeof args === "string" ? args : args.join(" ")} → ${ran.code}\n${ran.out}\n${ran.err}`;
  t.is(ran.code, expected.code, shown);
  if (expected.out !== undefined) t.regex(ran.out, expected.out, shown);
  if (expected.err !== undefined) t.regex(ran.err, expected.err, shown);
  t.notRegex(ran.out + ran.err, /\n\s+at \S+.*:\d+:\d+/, shown);
  return ran;
}
