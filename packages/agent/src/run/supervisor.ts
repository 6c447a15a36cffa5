/**
 * The agent's side of running processes: hands requests to spawner helpers and answers with a handle each. The agent itself never forks for a job: its
 * memory would make each start slow and block its lease renewal. Timeouts, kills and deadlines are kept in the helpers, so they hold while the agent is
 * stopped or dead; etcd plays no part here.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Log } from "fleetcron-shared/base/log";
import { type ProcessEnd, type Running, SpawnerLink } from "./spawner-link.ts";
import type { StartSpec } from "./spawner-protocol.ts";

export type { ProcessEnd, Running, StartSpec };

/** Two keep two cores busy; a third gains nothing (docs/performance.md). */
const DEFAULT_HELPERS = 2;

export type SupervisorOptions = {
  readonly helpers?: number;
  /** The helpers' own environment, never that of the processes; absent = the agent's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

export type Supervisor = {
  /** Never throws: what goes wrong is the outcome of the handle. */
  start(spec: StartSpec): Running;
  /** Moves the deadline of every execution that was started with one. */
  extendAll(deadlineMono: MonoMs): void;
  /** Executions that have not ended, those that wait to be started included. */
  readonly running: number;
  /** Takes no more starts, ends what runs (or waits until it has ended by itself), and lets the helpers go. */
  close(options: { stopExecutions: boolean }): Promise<void>;
};

/** Starts the helpers and resolves when they answer; throws when they cannot be started. */
export async function openSupervisor(deps: { clock: Clock; log: Log }, options: SupervisorOptions = {}): Promise<Supervisor> {
  const links: SpawnerLink[] = [];
  const handles = new Set<Promise<unknown>>();
  const wanted = options.helpers ?? DEFAULT_HELPERS;
  let closing: Promise<void> | undefined;

  function openLink(): SpawnerLink {
    const link = new SpawnerLink(deps, options.env);
    links.push(link);
    void link.closed.then(() => links.splice(links.indexOf(link), 1));
    return link;
  }

  /** The helper with the fewest requests in its queue; a helper that died is replaced when there is work for it. */
  function pickLink(): SpawnerLink {
    const alive = links.filter((link) => link.alive);
    if (alive.length < wanted) return openLink();
    return alive.reduce((best, link) => (link.unstarted < best.unstarted ? link : best));
  }

  async function close(stopExecutions: boolean): Promise<void> {
    if (stopExecutions) for (const link of links) link.killAll("agent", "the agent is stopped with its executions");
    await Promise.all(handles);
    await Promise.all(links.map((link) => link.close()));
  }

  while (links.length < wanted) openLink();
  try {
    await Promise.all(links.map((link) => link.ready));
  } catch (error) {
    await close(true);
    throw error;
  }

  return {
    start(spec) {
      if (closing !== undefined) return refused(deps.clock);
      const running = pickLink().start(spec);
      handles.add(running.ended);
      void running.ended.then(() => handles.delete(running.ended));
      return running;
    },
    extendAll(deadlineMono) {
      for (const link of links) link.extendAll(deadlineMono);
    },
    get running() {
      return handles.size;
    },
    close(how) {
      if (closing !== undefined && how.stopExecutions)
        for (const link of links) link.killAll("agent", "the agent is stopped with its executions");
      closing ??= close(how.stopExecutions);
      return closing;
    },
  };
}

function refused(clock: Clock): Running {
  const end: ProcessEnd = {
    outcome: { type: "spawnFailed", error: "the agent is stopping and starts nothing more" },
    endedAtMs: clock.now(),
    durationMs: 0,
  };
  return { started: Promise.resolve(undefined), ended: Promise.resolve(end), kill() {}, extend() {} };
}
