/** Our programs as real processes: started, killed, frozen, started again; whatever a test process leaves behind is killed by pid when it dies. */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { until } from "./processes.ts";

export type Daemon = {
  readonly pid: number;
  /** What it wrote to its ready file. */
  readonly ready: unknown;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  pause(): void;
  resume(): void;
  /** Kills it if it runs, and starts it again with the same arguments; resolves when it is ready. */
  restart(): Promise<void>;
  /** Resolves with the exit code when it ends by itself. */
  readonly exited: Promise<number | null>;
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The bin of a package, as a user would start it. */
export function binOf(program: "fleetcron" | "fleetcron-agent"): string {
  const folder = program === "fleetcron" ? "master" : "agent";
  return fileURLToPath(new URL(`../../packages/${folder}/bin/${program}.js`, import.meta.url));
}

/** Starts a program that takes `--ready-file`. */
export async function startDaemon(options: {
  program: "fleetcron" | "fleetcron-agent";
  args: readonly string[];
  /** For its log and ready file. */
  folder: string;
  name: string;
  env?: Readonly<Record<string, string>>;
  /** A command that replaces itself by the program. */
  wrapper?: readonly string[];
  /** Another copy of the program than this one's. */
  bin?: string;
  limitMs?: number;
  /** What else must be killed when the test is over: it outlives the program. */
  killRest?: () => void;
}): Promise<Daemon> {
  const logFile = `${options.folder}/${options.name}.log`;
  const readyFile = `${options.folder}/${options.name}.ready`;
  const command = [
    ...(options.wrapper ?? []),
    process.execPath,
    options.bin ?? binOf(options.program),
    ...options.args,
    "--ready-file",
    readyFile,
  ];
  let child: ChildProcess | undefined;
  let exited: Promise<number | null> = Promise.resolve(null);
  const onExit = () => {
    child?.kill("SIGKILL");
    options.killRest?.();
  };
  process.on("exit", onExit);

  const log = () => readFileSync(logFile, "utf8");
  async function start(): Promise<void> {
    rmSync(readyFile, { force: true });
    const out = openSync(logFile, "a");
    const [file = "", ...args] = command;
    const started = spawn(file, args, { stdio: ["ignore", out, out], env: { ...process.env, ...options.env } });
    child = started;
    exited = new Promise((resolve) => started.once("exit", (code) => resolve(code)));
    await until(
      `${options.name} is ready`,
      () => {
        if (started.exitCode !== null || started.signalCode !== null) throw new Error(`${options.name} ended at its start:\n${log()}`);
        return readReady(readyFile) !== undefined;
      },
      options.limitMs ?? 60_000,
    );
  }
  async function kill(): Promise<void> {
    child?.kill("SIGKILL");
    await exited;
  }
  await start();
  return {
    get pid() {
      return child?.pid ?? -1;
    },
    get ready() {
      return readReady(readyFile);
    },
    kill,
    async stop() {
      child?.kill("SIGTERM");
      child?.kill("SIGCONT");
      return exited;
    },
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    async restart() {
      await kill();
      await start();
    },
    get exited() {
      return exited;
    },
    log,
    async [Symbol.asyncDispose]() {
      await kill();
      options.killRest?.();
      process.off("exit", onExit);
    },
  };
}

function readReady(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
