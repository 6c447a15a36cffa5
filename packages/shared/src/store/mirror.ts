/**
 * Owns "list, then watch from there, for ever": the changes of one prefix, complete and in order, whatever happens to the watch. Any end of the
 * watch leads to another one from the next revision or, when that is impossible (compaction, a wiped store), to a new list of which only the
 * differences are told. Memory: one revision per key, no values. When etcd is away nothing is told and `live()` is false; it goes on where it
 * was when etcd answers. A consumer that throws is logged and does not stop the mirror.
 */
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { AppError, asError, isCode } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { type KeyValue, type Kv, prefixRange, type Revision, type WatchEnd } from "./kv.ts";
import { createMirrorState } from "./mirror-state.ts";

/** A change as the mirror's consumer sees it. */
export type MirrorEvent = { readonly type: "put"; readonly kv: KeyValue } | { readonly type: "delete"; readonly key: string };

export type MirrorDeps = { kv: Kv; clock: Clock; random: Pick<Random, "next">; log: Log };

export type MirrorOptions = {
  prefix: string;
  /** Called synchronously with changes in order; the first list comes as puts. Every change up to `revision` has now been told. */
  onEvents(events: readonly MirrorEvent[], revision: Revision): void;
  /** After each complete list that was needed: the first one, and those after compaction or a wiped store. */
  onSynced?: ((revision: Revision) => void) | undefined;
  /** Every so often (± a quarter) all keys are listed and compared, because etcd has lost watch events before. Default 5 min. */
  resyncMs?: number | undefined;
};

export type Mirror = {
  /** The first list has been delivered. Rejects with `etcd/closed` when the mirror is closed before. */
  readonly synced: Promise<void>;
  /** Every change up to this revision has been delivered; 0 before the first list. */
  revision(): Revision;
  /** A watch is established. */
  live(): boolean;
  /** Resolves when `revision()` is at least `revision`. If no event of the prefix carries it there soon, the keys are listed to prove it. */
  reached(revision: Revision): Promise<void>;
  close(): Promise<void>;
};

const BACKOFF = { firstMs: 50, maxMs: 1000 };
const RESYNC_MS = 300_000;
/** The first page of a list; later ones aim at PAGE_BYTES, because etcd counts the rest of the range anew for each page. */
const PAGE_KEYS = 500;
const PAGE_BYTES = 2_000_000;
const MAX_PAGE_KEYS = 5000;
/** So long may an event be on its way before `reached` lists the keys; later lists of one wait come at up to the second time. */
const REACHED_BACKOFF = { firstMs: 200, maxMs: 5000 };

type Waiter = { readonly revision: Revision; resolve(): void; reject(error: Error): void };

export function openMirror(deps: MirrorDeps, options: MirrorOptions): Mirror {
  const { kv, clock, random } = deps;
  const log = deps.log.child({ prefix: options.prefix });
  const range = prefixRange(options.prefix);
  const state = createMirrorState();
  const closing = new AbortController();
  const waiters = new Set<Waiter>();
  const synced = Promise.withResolvers<void>();
  synced.promise.catch(() => {});
  let live = false;
  let failures = 0;
  let comparing: Promise<void> | undefined;
  let nudging = false;
  /** Ends the watch of the moment. */
  let interrupt: (end: WatchEnd) => void = () => {};

  function guarded(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      log.error({ err: asError(error) }, "mirror consumer failed");
    }
  }

  function tell(events: readonly MirrorEvent[]): void {
    if (events.length > 0) guarded(() => options.onEvents(events, state.revision()));
    for (const waiter of waiters) {
      if (waiter.revision > state.revision()) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Lists the prefix at one revision and tells what differs. Once keys are known, values are read only for pages with differences. */
  async function list(watching: boolean): Promise<void> {
    const pass = state.beginList(watching);
    const keysOnly = !state.isEmpty();
    let start = range.start;
    let revision: Revision | undefined;
    let clusterId: string | undefined;
    let limit = PAGE_KEYS;
    const read = async (withValues: boolean) => {
      const at = revision === undefined ? {} : { revision };
      const page = await kv.range({ start, end: range.end, limit, keysOnly: !withValues, ...at });
      if (clusterId !== undefined && page.clusterId !== clusterId) throw new Error("etcd was exchanged while it was listed");
      return page;
    };
    try {
      for (;;) {
        let page = await read(!keysOnly);
        clusterId = page.clusterId;
        if (revision === undefined && !pass.checkStore(clusterId, page.revision)) return interrupt({ reason: "otherCluster" });
        revision ??= page.revision;
        if (keysOnly && page.kvs.some(pass.differs)) page = await read(true);
        if (closing.signal.aborted) return;
        tell(pass.page(page.kvs));
        const last = page.kvs.at(-1);
        if (!page.more || last === undefined) break;
        const bytes = page.kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length, 0);
        limit = Math.max(PAGE_KEYS, Math.min(MAX_PAGE_KEYS, Math.floor((PAGE_BYTES * page.kvs.length) / bytes)));
        start = `${last.key}\0`;
      }
      tell(pass.finish(revision));
      if (watching) return;
      guarded(() => options.onSynced?.(state.revision()));
      synced.resolve();
    } finally {
      state.endList();
    }
  }

  /** A list beside the watch, at most one at a time. */
  function compare(): Promise<void> {
    comparing ??= list(true)
      .catch((error: unknown) => log.debug({ err: asError(error) }, "mirror comparison failed"))
      .finally(() => {
        comparing = undefined;
      });
    return comparing;
  }

  async function follow(fromRevision: Revision): Promise<WatchEnd> {
    const ended = Promise.withResolvers<WatchEnd>();
    interrupt = ended.resolve;
    const clusterId = state.clusterId();
    const stop = kv.watch(
      { ...range, fromRevision, ...(clusterId === undefined ? {} : { clusterId }) },
      {
        onStarted() {
          if (failures > 0) log.info({ fromRevision }, "mirror resumed");
          live = true;
          failures = 0;
        },
        onEvents: (events, revision) => tell(state.watched(events, revision)),
        onProgress(revision) {
          state.progressed(revision);
          tell([]);
        },
        onEnd: ended.resolve,
      },
    );
    try {
      return await ended.promise;
    } finally {
      live = false;
      stop();
    }
  }

  /** One list if needed and one watch; returns how it ended. */
  async function cycle(): Promise<WatchEnd> {
    await comparing;
    if (state.next() === undefined) {
      await list(false);
      if (closing.signal.aborted) return { reason: "closed" };
    }
    return follow(state.next() ?? 0);
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const end = await cycle().catch(
        (error: unknown): WatchEnd => ({ reason: isCode(error, "etcd/closed") ? "closed" : "error", error: asError(error) }),
      );
      if (closing.signal.aborted || end.reason === "closed") break;
      if (end.reason === "compacted" || end.reason === "otherCluster") state.loseTrack();
      failures += 1;
      if (failures === 1) log.warn({ err: end.error, reason: end.reason }, "mirror interrupted");
      await clock.sleep(backoffMs({ random }, BACKOFF, failures), closing.signal);
    }
    synced.reject(closed());
    dismiss();
  }

  function closed(): AppError {
    return new AppError("etcd/closed", `the mirror of ${options.prefix} was closed`);
  }

  /** Nobody waits for a list that is still under way when the mirror is closed. */
  function dismiss(): void {
    for (const waiter of waiters) waiter.reject(closed());
    waiters.clear();
  }

  async function resync(): Promise<void> {
    while (!closing.signal.aborted) {
      await clock.sleep((options.resyncMs ?? RESYNC_MS) * (0.75 + random.next() / 2), closing.signal);
      if (live) await compare();
    }
  }

  /** While somebody waits for a revision and the watch has nothing to tell, lists the keys every now and then. */
  async function nudge(): Promise<void> {
    if (nudging) return;
    nudging = true;
    for (let attempt = 1; waiters.size > 0 && !closing.signal.aborted; ) {
      const before = live ? state.revision() : undefined;
      await clock.sleep(backoffMs({ random }, REACHED_BACKOFF, attempt), closing.signal);
      const quiet = live && state.revision() === before;
      attempt = quiet ? attempt + 1 : 1;
      if (quiet && waiters.size > 0) await compare();
    }
    nudging = false;
  }

  const done = run();
  void resync();
  return {
    synced: synced.promise,
    revision: state.revision,
    live: () => live,
    reached(revision) {
      if (state.revision() >= revision) return Promise.resolve();
      if (closing.signal.aborted) return Promise.reject(closed());
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiters.add({ revision, resolve, reject });
      void nudge();
      return promise;
    },
    async close() {
      closing.abort();
      dismiss();
      interrupt({ reason: "closed" });
      await done;
    },
  };
}
