/** A supervisor with a real spawner and a folder for logs; both are gone at the end of the scope, with all that runs. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import { openSupervisor, type Running, type StartSpec, type Supervisor } from "../../packages/agent/src/run/supervisor.ts";
import { tempFolder, textOf, until } from "./processes.ts";
import { endSpawners } from "./spawners.ts";

/** As the spawner reads it. */
export const BOOT_ID = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
const BIN = join(import.meta.dirname, "../fixtures/bin");

export type SupervisorBench = AsyncDisposable & {
  readonly supervisor: Supervisor;
  readonly folder: string;
  /** The folder of the spawner's socket and logbook. */
  readonly spawners: string;
  /** Another supervisor on the same folder, as the agent that comes next. */
  next(options?: { version?: string; bootId?: string }): Promise<Supervisor>;
  /** A request with defaults; each has its own log. */
  spec(argv: readonly string[], more?: Partial<StartSpec>): StartSpec;
  start(
    argv: readonly string[],
    more?: Partial<StartSpec>,
  ): Running & { log(): string; ready(): Promise<number>; pids(): number[]; spec: StartSpec };
};

/** The path of a one-behaviour program of test/fixtures/bin. */
export function fixture(name: string): string {
  return join(BIN, name);
}

export async function supervisorBench(options: { cgroup?: "auto" | "off" } = {}): Promise<SupervisorBench> {
  const folder = tempFolder();
  const spawners = join(folder.path, "spawner");
  const open = (version = "test", bootId = BOOT_ID) =>
    openSupervisor({ clock: systemClock, log: silentLog }, { folder: spawners, version, bootId, ...options });
  const supervisor = await open();
  let count = 0;
  const bench: SupervisorBench = {
    supervisor,
    folder: folder.path,
    spawners,
    next: (as) => open(as?.version, as?.bootId),
    spec: (argv, more = {}) => {
      // Also in other tests there are none of the same name: processes are found by it.
      const execution = `e${++count}-${randomUUID()}`;
      return {
        execution,
        attempt: 1,
        argv,
        cwd: "/",
        env: { PATH: "/usr/bin:/bin", FLEETCRON_EXECUTION: execution, FLEETCRON_ATTEMPT: "1" },
        logPath: folder.file(`log-${count}`),
        timeoutMs: 0,
        killGraceMs: 1000,
        ...more,
      };
    },
    start(argv, more) {
      const spec = bench.spec(argv, more);
      const running = supervisor.start(spec);
      const log = () => textOf(spec.logPath);
      return {
        started: running.started,
        ended: running.ended,
        kill: (by, reason) => running.kill(by, reason),
        extend: (deadline) => running.extend(deadline),
        spec,
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
      await endSpawners(spawners);
      folder[Symbol.dispose]();
    },
  };
  return bench;
}
