/** A supervisor with real helpers and a folder for logs, closed at the end of the scope. */
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import { openSupervisor, type Running, type StartSpec, type Supervisor } from "../../packages/agent/src/run/supervisor.ts";
import { tempFolder, textOf, until } from "./processes.ts";

const BIN = join(import.meta.dirname, "../fixtures/bin");

export type SupervisorBench = AsyncDisposable & {
  readonly supervisor: Supervisor;
  readonly folder: string;
  /** A request with defaults; each has its own log. */
  spec(argv: readonly string[], more?: Partial<StartSpec>): StartSpec;
  start(argv: readonly string[], more?: Partial<StartSpec>): Running & { log(): string; ready(): Promise<number>; pids(): number[] };
};

/** The path of a one-behaviour program of test/fixtures/bin. */
export function fixture(name: string): string {
  return join(BIN, name);
}

export async function supervisorBench(options: { helpers?: number } = {}): Promise<SupervisorBench> {
  const folder = tempFolder();
  const supervisor = await openSupervisor({ clock: systemClock, log: silentLog }, options);
  let count = 0;
  const bench: SupervisorBench = {
    supervisor,
    folder: folder.path,
    spec: (argv, more = {}) => ({
      execution: `e${++count}`,
      attempt: 1,
      argv,
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      logPath: folder.file(`log-${count}`),
      timeoutMs: 0,
      killGraceMs: 1000,
      ...more,
    }),
    start(argv, more) {
      const spec = bench.spec(argv, more);
      const running = supervisor.start(spec);
      const log = () => textOf(spec.logPath);
      return {
        ...running,
        log,
        pids: () => [...log().matchAll(/^pid (\d+)$/gm)].map((match) => Number(match[1])),
        async ready() {
          await until(`"ready" in the log of ${argv.join(" ")}`, () => log().includes("ready"));
          return (await running.started)?.pid ?? -1;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await supervisor.close({ stopExecutions: true });
      folder[Symbol.dispose]();
    },
  };
  return bench;
}
