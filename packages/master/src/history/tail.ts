/**
 * What has been filed into etcd and is not in the archive yet: the watch of records and ended runs, as a queue in the order of revisions. Bounded: when it
 * is full the watch is closed, and opened again where it ended once there is room; etcd keeps the events meanwhile, and when it has compacted them away
 * the tail is lost and everything that etcd holds has to be looked at. Etcd away: it waits, nothing is missed.
 */
import { backoffMs } from "fleetcron-shared/base/backoff";
import type { Clock } from "fleetcron-shared/base/clock";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import { isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { type KeyValue, type Kv, prefixEnd, type Revision, type WatchEnd, type WatchEvent } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

export type Filed =
  | { readonly type: "record"; readonly revision: Revision; readonly record: ExecutionRecord }
  | { readonly type: "run"; readonly revision: Revision; readonly run: RunDocument };

export type TailDeps = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: Pick<Random, "next">;
  readonly log: Log;
};
export type TailLimits = { readonly entries: number; readonly bytes: number };

export type Tail = {
  /** Begins behind a revision: all that comes after it will be in the queue. */
  follow(after: Revision): void;
  /** At least `count` from the head, up to the end of a revision, or all; up to `upTo` nothing else was filed. */
  take(count: number): { readonly filed: readonly Filed[]; readonly upTo: Revision };
  /** Up to this revision everything is in the archive. */
  drop(upTo: Revision): void;
  entries(): Iterable<Filed>;
  /** `live`: the queue holds all that the archive lacks. `lost`: etcd holds the events no more. */
  state(): "idle" | "live" | "behind" | "lost";
  readonly size: number;
  close(): void;
};

const BACKOFF = { firstMs: 50, maxMs: 3000 };
export const TAIL_LIMITS: TailLimits = { entries: 20_000, bytes: 32 * 2 ** 20 };

/** What a key and its value say, if it is something to keep. */
export function filedOf(keys: Keys, kv: Pick<KeyValue, "key" | "value" | "modRevision">): Filed | undefined {
  const { key, value, modRevision: revision } = kv;
  if (key.startsWith(keys.records)) {
    const record = tryDecode<ExecutionRecord>(key, value);
    return record === undefined || typeof record.outcome?.type !== "string" ? undefined : { type: "record", revision, record };
  }
  if (!key.startsWith(keys.runs)) return undefined;
  const run = tryDecode<RunDocument>(key, value);
  return run === undefined || !Object.hasOwn({ succeeded: 1, failed: 1, cancelled: 1 }, run.state) || !isRunEnd(run.state)
    ? undefined
    : { type: "run", revision, run };
}

export function openTail(deps: TailDeps, onChange: () => void, limits: TailLimits = TAIL_LIMITS): Tail {
  const { kv, keys, clock, random, log } = deps;
  let queue: { readonly filed: Filed; readonly bytes: number }[] = [];
  let bytes = 0;
  /** Everything up to here was in the queue. */
  let seen: Revision = 0;
  let state: ReturnType<Tail["state"]> = "idle";
  let stop: (() => void) | undefined;
  let disarm = () => {};
  let failures = 0;
  let closed = false;

  function isFull(): boolean {
    return queue.length >= limits.entries || bytes >= limits.bytes;
  }

  function receive(events: readonly WatchEvent[], revision: Revision): void {
    for (const event of events) {
      const filed = event.type === "put" ? filedOf(keys, event.kv) : undefined;
      if (filed === undefined || event.type !== "put") continue;
      queue.push({ filed, bytes: event.kv.value.length });
      bytes += event.kv.value.length;
    }
    seen = revision;
    if (isFull()) halt();
    onChange();
  }

  function halt(): void {
    const ending = stop;
    stop = undefined;
    if (state === "live") state = "behind";
    ending?.();
  }

  function open(): void {
    disarm();
    if (closed || stop !== undefined || isFull()) return;
    let over = false;
    // Keys in between are those of requests to pipelines: few, and this way everything comes in the order of revisions.
    const range = { start: keys.records, end: prefixEnd(keys.runs) };
    const end = kv.watch(
      { ...range, fromRevision: seen + 1 },
      {
        onStarted() {
          failures = 0;
          if (over || stop === undefined) return;
          state = "live";
          onChange();
        },
        onEvents: (events, revision) => {
          if (!over && stop !== undefined) receive(events, revision);
        },
        onProgress(revision) {
          if (!over && stop !== undefined && revision > seen) seen = revision;
        },
        onEnd(reason) {
          over = true;
          if (stop === end) ended(reason);
        },
      },
    );
    if (!over) stop = end;
    else if (!closed) ended({ reason: "error" });
  }

  function ended({ reason, error }: WatchEnd): void {
    stop = undefined;
    if (closed || reason === "closed") return;
    if (reason === "compacted" || reason === "otherCluster") {
      log.warn({ reason }, "etcd no longer has the changes that the history needs, looking at everything it holds");
      state = "lost";
      onChange();
      return;
    }
    state = "behind";
    failures += 1;
    log.debug({ err: error }, "watch of the history interrupted");
    disarm = clock.after(backoffMs({ random }, BACKOFF, failures), open);
  }

  return {
    follow(after) {
      halt();
      queue = [];
      bytes = 0;
      seen = after;
      state = "behind";
      open();
    },
    take(count) {
      let length = Math.min(count, queue.length);
      while (length < queue.length && queue[length]?.filed.revision === queue[length - 1]?.filed.revision) length += 1;
      const filed = queue.slice(0, length).map((entry) => entry.filed);
      return { filed, upTo: length === queue.length ? seen : (filed.at(-1)?.revision ?? seen) };
    },
    drop(upTo) {
      const keep = queue.findIndex(({ filed }) => filed.revision > upTo);
      const gone = queue.splice(0, keep === -1 ? queue.length : keep);
      for (const entry of gone) bytes -= entry.bytes;
      if (state === "behind" && failures === 0 && stop === undefined && queue.length <= limits.entries / 2 && bytes <= limits.bytes / 2)
        open();
    },
    *entries() {
      for (const { filed } of queue) yield filed;
    },
    state: () => state,
    get size() {
      return queue.length;
    },
    close() {
      closed = true;
      disarm();
      halt();
    },
  };
}
