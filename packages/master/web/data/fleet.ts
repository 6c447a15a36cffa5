/** All that the console holds of the cluster: one collection per kind, fed by the stream of live changes. */

import { summaryOf } from "fleetcron-shared/model/record-summary";
import type { ApiClient } from "../../src/client/api.ts";
import type { LiveEvent } from "../../src/client/events.ts";
import type { WebClock } from "../base/clock.ts";
import { type Collection, createCollection } from "./collection.ts";
import type { Channel, Execution, Info, Job, JobRef, Node, Pipeline, RunSummary } from "./types.ts";

export type RecordSummary = ReturnType<typeof summaryOf>;
/** The node, and the host that it went to. */
export function placeOf({ node, host }: Pick<RecordSummary, "node" | "host">): string {
  return host === undefined ? node : `${node} → ${host}`;
}

type Page<T> = { readonly items: readonly T[]; readonly next?: string | undefined };

export type Change = Exclude<LiveEvent, { start: unknown }>;

export type Fleet = {
  readonly jobs: Collection<Job>;
  readonly nodes: Collection<Node>;
  /** What runs now, by `node/group/job/pid`. */
  readonly running: Collection<Execution>;
  /** The newest verdicts, and those that have come since. */
  readonly records: Collection<RecordSummary>;
  readonly pipelines: Collection<Pipeline>;
  readonly runs: Collection<RunSummary>;
  readonly channels: Collection<Channel>;
  /** One thing: the master and its leader. */
  readonly info: Collection<Info>;
  take(event: Change): void;
  /** Calls `fn` for each change, and without one when any may have been missed; the returned function ends that. */
  listen(fn: (change: Change | undefined) => void): () => void;
  renew(): void;
  /** Asks for a job again whose next tick has passed: one at a time, and the same one no more often than every 10 s. */
  freshen(job: JobRef): void;
};

const PAGE = 1000;
const FRESH_MS = 10_000;
const NEWEST_RECORDS = 300;
const NEWEST_RUNS = 300;

export function createFleet(deps: { clock: WebClock; api: ApiClient; ready: Promise<void> }): Fleet {
  const { api } = deps;
  const all =
    <T>(fetchPage: (query: { limit: number; cursor?: string }) => Promise<Page<T>>, first = PAGE) =>
    async (page: (items: readonly T[]) => void) => {
      let cursor: string | undefined;
      do {
        const { items, next } = await fetchPage({
          limit: cursor === undefined ? first : PAGE,
          ...(cursor === undefined ? {} : { cursor }),
        });
        page(items);
        cursor = next;
      } while (cursor !== undefined);
    };
  const of = <T>(options: Parameters<typeof createCollection<T>>[1]) => createCollection<T>(deps, options);
  const byKey = ({ group, id }: { group: string; id: string }) => `${group}/${id}`;

  const jobs = of<Job>({ list: all((query) => api.jobs(query), 200), keyOf: byKey });
  const nodes = of<Node>({ list: all((query) => api.nodes(query)), keyOf: ({ id }) => id });
  const running = of<Execution>({
    list: all((query) => api.executions({ ...query, state: "running" })),
    keyOf: ({ node, group, job, pid, id }) => `${node}/${group}/${job}/${(pid ?? 0) === 0 ? id : pid}`,
  });
  const records = of<RecordSummary>({
    list: async (page) => page((await api.records({ limit: NEWEST_RECORDS })).items.map(summaryOf)),
    keyOf: ({ id }) => id,
    keep: (items) => dropOldest(items, 2 * NEWEST_RECORDS, ({ endTime }) => endTime),
  });
  const pipelines = of<Pipeline>({ list: all((query) => api.pipelines(query)), keyOf: byKey });
  const runs = of<RunSummary>({
    list: async (page) => page((await api.pipelineRuns({ limit: NEWEST_RUNS })).items),
    keyOf: ({ id }) => id,
    keep: (items) => dropOldest(items, 2 * NEWEST_RUNS, ({ createdAt }) => createdAt),
  });
  const channels = of<Channel>({ list: all((query) => api.channels(query)), keyOf: ({ name }) => name });
  const info = of<Info>({ list: async (page) => page([await api.info()]), keyOf: () => "" });

  const listeners = new Set<(change: Change | undefined) => void>();
  function take(change: Change): void {
    put(change);
    for (const listener of listeners) listener(change);
  }

  function put({ type, data }: Change): void {
    const { key, value } = data;
    switch (type) {
      case "job":
        return jobs.change(key, () => value as Job | undefined);
      case "stats":
        return jobs.change(key, (held) => (held === undefined ? undefined : ({ ...held, stats: value } as Job)));
      case "node":
        return nodes.change(key, () => value as Node | undefined);
      case "execution":
        return running.change(key, () => value as Execution | undefined);
      case "record":
        return records.change(key, (held) => (value as RecordSummary | undefined) ?? held);
      case "pipeline":
        return pipelines.change(key, () => value as Pipeline | undefined);
      case "run":
        return runs.change(key, () => value as RunSummary | undefined);
      case "channel":
        return channels.change(key, (held) =>
          value === undefined ? undefined : ({ waiting: 0, failed: 0, last: null, ...held, ...value } as Channel),
        );
      case "leader":
        return info.change("", (held) => (held === undefined ? undefined : ({ ...held, leader: value ?? null } as Info)));
      default:
        return;
    }
  }

  const askedAt = new Map<string, number>();
  let asking = Promise.resolve();
  function freshen(ref: JobRef): void {
    const key = byKey(ref);
    const now = deps.clock.mono();
    if (now - (askedAt.get(key) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return;
    askedAt.set(key, now);
    asking = asking.then(async () => {
      const job = await api.job(ref).catch(() => undefined);
      if (job !== undefined) jobs.change(key, (held) => held && job);
    });
  }

  const collections = [jobs, nodes, running, records, pipelines, runs, channels, info] as const;
  return {
    ...{ jobs, nodes, running, records, pipelines, runs, channels, info },
    take,
    freshen,
    listen(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    renew() {
      for (const collection of collections) collection.renew();
      for (const listener of listeners) listener(undefined);
    },
  };
}

/** Lets the list grow a little before it is cut, so that not each change sorts it. */
function dropOldest<T>(items: Map<string, T>, most: number, timeOf: (item: T) => string): void {
  if (items.size <= most) return;
  const times = [...items].map(([key, item]) => ({ key, time: timeOf(item) })).sort((a, b) => (a.time < b.time ? 1 : -1));
  for (const { key } of times.slice(most / 2)) items.delete(key);
}
