/**
 * The logs of all containers of all pods of a Job, as they are written. Each container's log is read to its end, also when streams are cut or the API is away;
 * when the Job is over, the rest is waited for, but not for ever.
 */
import type { SessionDeps } from "../runner.ts";
import type { Api } from "./api.ts";
import { ApiFailure } from "./api-failure.ts";
import { createLogLines, type LogLines, sinceSecond } from "./log-lines.ts";
import { type ContainerStatus, nameOf, type Pod, statusesOf } from "./objects.ts";
import { nextFailure } from "./reflector.ts";
import { pause, type RetryDeps } from "./retry.ts";

export type Logs = {
  /** The newest state of a pod; `gone`: it was deleted, and its logs with it. */
  seen(pod: Pod, gone?: boolean): void;
  /** All that was seen is written, or nothing has come for `ms`; says so in the log when something is missing. */
  drain(ms: number): Promise<void>;
  /** At once. */
  stop(): void;
  /** Time stamp of the newest line by `pod/container`: for the trace. */
  readonly since: Readonly<Record<string, string>>;
};

/** One run of one container. */
type Pump = {
  readonly key: string;
  readonly pod: string;
  readonly container: string;
  readonly restart: number;
  readonly containers: number;
  readonly lines: LogLines;
  readonly done: Promise<void>;
  /** Aborts when the container is known to have ended: then one more reading brings all there is. */
  readonly end: AbortController;
  /** Of the latest state seen. */
  current: number;
  gone: boolean;
};

type Reading = Omit<Pump, "done">;

const MAX_TRACED = 20;
/** How many times a wait at the end is made longer because lines still come. */
const MAX_ROUNDS = 30;

export function createLogs(
  deps: RetryDeps & Pick<SessionDeps, "write" | "warn"> & { readonly api: Api },
  options: {
    readonly namespace: string;
    /** More than one pod is expected. */
    readonly manyPods: boolean;
    readonly since: Readonly<Record<string, string>>;
    /** After lines were written. */
    readonly progress: () => void;
  },
): Logs {
  const pumps = new Map<string, Pump>();
  const pods = new Set<string>();
  /** By `pod/container`. */
  const streams = new Map<string, { readonly lines: LogLines; readonly done: Promise<void> }>();
  const stopped = new AbortController();
  let queue: Promise<void> = Promise.resolve();
  let refused = false;
  let written = 0;

  function seen(pod: Pod, gone = false): void {
    for (const status of statusesOf(pod)) {
      const count = status.restartCount ?? 0;
      for (let restart = Math.max(0, count - 1); restart <= count; restart++) {
        const began = restart < count ? status.lastState?.terminated !== undefined : hasBegun(status);
        const key = `${nameOf(pod)}/${status.name}/${restart}`;
        const pump = pumps.get(key) ?? (began && !gone ? start(key, pod, status.name, restart) : undefined);
        if (pump === undefined) continue;
        pumps.set(key, pump);
        pump.current = count;
        if (restart < count || status.state?.terminated !== undefined) pump.end.abort();
        pump.gone ||= gone;
      }
    }
  }

  function start(key: string, pod: Pod, container: string, restart: number): Pump {
    pods.add(nameOf(pod));
    const containers = (pod.spec?.containers?.length ?? 1) + (pod.spec?.initContainers?.length ?? 0);
    // The server has no name for one run of a container: asked for the log, it may give that of the next run already. So all runs share what was read, and take turns.
    const name = `${nameOf(pod)}/${container}`;
    const before = streams.get(name);
    const lines = before?.lines ?? createLogLines(options.since[name]);
    const pump: Reading = {
      key,
      pod: nameOf(pod),
      container,
      restart,
      containers,
      lines,
      end: new AbortController(),
      current: restart,
      gone: false,
    };
    const done = (before?.done ?? Promise.resolve())
      .then(() => follow(pump))
      .catch((thrown) => deps.warn(`the log of ${key} ended early: ${thrown instanceof Error ? thrown.message : String(thrown)}`));
    streams.set(name, { lines, done });
    return Object.assign(pump, { done });
  }

  async function follow(pump: Reading): Promise<void> {
    let failures = 0;
    pump.lines.cut();
    while (!stopped.signal.aborted) {
      const wasEnded = pump.end.signal.aborted;
      let failure: ApiFailure | undefined;
      const began = deps.clock.mono();
      try {
        if (await read(pump)) failures = 0;
        if (wasEnded) {
          await emit(pump, pump.lines.end());
          return;
        }
      } catch (thrown) {
        if (!(thrown instanceof ApiFailure)) {
          deps.warn(`the log of ${pump.key} could not be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
          return;
        }
        failure = thrown;
      }
      if (stopped.signal.aborted) return;
      pump.lines.cut();
      if (failure?.status === 403) return await refuse(failure);
      if (failure?.status === 404 || (pump.gone && failure !== undefined)) return;
      failures = nextFailure(deps.clock.mono() - began, failures);
      await pause(deps, failures, failure, pump.end.signal.aborted ? stopped.signal : AbortSignal.any([stopped.signal, pump.end.signal]));
    }
  }

  /** Whether any line was new. */
  async function read(pump: Reading): Promise<boolean> {
    const { since } = pump.lines;
    const previous = pump.restart < pump.current;
    const call = {
      method: "GET",
      path: `/api/v1/namespaces/${options.namespace}/pods/${pump.pod}/log`,
      query: {
        container: pump.container,
        follow: !previous,
        timestamps: true,
        previous: previous ? true : undefined,
        sinceTime: since === undefined ? undefined : sinceSecond(since),
      },
    } as const;
    let any = false;
    for await (const chunk of deps.api.stream(call, deps.timing.logIdleMs, stopped.signal)) {
      const lines = pump.lines.take(chunk);
      if (lines.length === 0) continue;
      any = true;
      await emit(pump, lines);
    }
    return any;
  }

  /** One after the other: lines of several containers never run into each other. */
  async function emit(pump: Reading, lines: readonly Uint8Array[]): Promise<void> {
    if (lines.length === 0) return;
    const prefix = prefixOf(pump);
    const last = lines.at(-1);
    const open = prefix.length > 0 && last !== undefined && last.at(-1) !== 0x0a ? [Buffer.from("\n")] : [];
    const bytes = Buffer.concat([...(prefix.length === 0 ? lines : lines.flatMap((line) => [prefix, line])), ...open]);
    const writing = queue.then(() => deps.write(bytes));
    queue = writing.catch(() => {});
    await writing;
    written += bytes.length;
    options.progress();
  }

  function prefixOf(pump: Reading): Uint8Array {
    if (options.manyPods || pods.size > 1) return Buffer.from(`${pump.pod}/${pump.container} | `);
    return Buffer.from(pump.containers > 1 ? `${pump.container} | ` : "");
  }

  async function refuse(failure: ApiFailure): Promise<void> {
    if (refused) return;
    refused = true;
    await deps.write(Buffer.from(`fleetcron: the logs of the pods cannot be read: ${failure.message}\n`));
  }

  return {
    seen,
    async drain(ms) {
      const all = Promise.all([...pumps.values()].map(({ done }) => done)).then(() => "done" as const);
      let result: "done" | "late" | "more" = "more";
      for (let round = 0, before = -1; result === "more"; round++) {
        before = written;
        const late = deps.clock
          .sleep(ms, stopped.signal)
          .then(() => (written > before && round < MAX_ROUNDS ? ("more" as const) : ("late" as const)));
        result = await Promise.race([all, late]);
      }
      stopped.abort();
      if (result === "late")
        await deps.write(Buffer.from("fleetcron: the log may lack its last lines, for the cluster has not sent them in time\n"));
    },
    stop: () => stopped.abort(),
    get since() {
      const newest = [...streams].slice(-MAX_TRACED);
      return Object.fromEntries(newest.flatMap(([name, { lines }]) => (lines.since === undefined ? [] : [[name, lines.since]])));
    },
  };
}

function hasBegun({ state }: ContainerStatus): boolean {
  return state?.running !== undefined || state?.terminated !== undefined;
}
