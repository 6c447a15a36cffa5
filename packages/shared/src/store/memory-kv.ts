/**
 * The in-memory adapter of the store port, for tests and simulation: one store, many connections, leases that expire by the injected clock,
 * and hooks for every fault that a network and etcd can produce. It obeys the same contract suite as the real adapter.
 */
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Kv, LeaseId, RangeResult, Revision, Txn, TxnResult, WatchEnd, WatchEvent, WatchHandlers } from "./kv.ts";
import { MemoryState } from "./memory-state.ts";
import { createStoreIdentity, type StoreIdentity } from "./store-identity.ts";

/** A connection and what can befall it. */
export type MemoryKv = Kv & {
  /** Calls fail `etcd/unreachable` (those under way: a write has an unknown outcome) and watches end with an error, until `reconnect`. */
  disconnect(): void;
  reconnect(): void;
  /** Every call takes this long from now on; watch events come as much later. */
  setDelay(ms: number): void;
  /** The next write is applied, but its answer is lost: it fails with `etcd/unknown-outcome`. */
  loseNextAnswer(): void;
};

export type MemoryStore = {
  connect(): MemoryKv;
  revision(): Revision;
  compact(revision?: Revision): void;
  expireLease(lease: LeaseId): void;
  /** A wiped store: nothing in it, another cluster id, revision 1. Every watch ends with an error. */
  reset(): void;
  /** Tells every watch that nothing else happened up to now. */
  progress(): void;
};

type Watch = {
  readonly query: Parameters<Kv["watch"]>[0];
  readonly handlers: WatchHandlers;
  next: Revision;
  started: boolean;
  ended: boolean;
  pumping: boolean;
};
type Lease = { readonly ttlMs: number; cancel: () => void };
type Connection = {
  up: boolean;
  closed: boolean;
  delayMs: number;
  loseAnswer: boolean;
  epoch: number;
  readonly watches: Set<Watch>;
  readonly identity: StoreIdentity;
};

/** A watch answers at most this many revisions at a time, as etcd does. */
const BATCH_REVISIONS = 1000;

export function createMemoryStore(deps: { clock: Clock }): MemoryStore {
  const { clock } = deps;
  let clusters = 1;
  let state = new MemoryState("1");
  let nextLease = 1;
  const leases = new Map<LeaseId, Lease>();
  const connections = new Set<Connection>();

  function armLease(id: LeaseId, ttlMs: number): void {
    leases.get(id)?.cancel();
    leases.set(id, { ttlMs, cancel: clock.after(ttlMs, () => expireLease(id)) });
  }

  function expireLease(id: LeaseId): void {
    leases.get(id)?.cancel();
    leases.delete(id);
    state.revoke(id);
    wakeWatches();
  }

  /** Those that have seen everything before the newest revision, and that it is none of the business of, are not woken. */
  function wakeWatches(): void {
    const newest = state.revision;
    const keys = state.batchAt(newest).map((event) => (event.type === "put" ? event.kv.key : event.key));
    for (const connection of connections) {
      for (const watch of connection.watches) {
        const { start, end } = watch.query;
        const isIdle = watch.started && !watch.pumping && watch.next === newest;
        if (isIdle && !keys.some((key) => key >= start && key < end)) watch.next = newest + 1;
        else pump(connection, watch);
      }
    }
  }

  function endWatch(connection: Connection, watch: Watch, end: WatchEnd): void {
    if (watch.ended) return;
    watch.ended = true;
    connection.watches.delete(watch);
    watch.handlers.onEnd(end);
  }

  /** Delivers what the watch has not seen, always from a later task than the write. */
  function pump(connection: Connection, watch: Watch): void {
    if (watch.pumping || watch.ended) return;
    watch.pumping = true;
    const later = connection.delayMs > 0 ? clock.sleep(connection.delayMs) : Promise.resolve();
    void later.then(() => {
      watch.pumping = false;
      while (!watch.ended && (!watch.started || watch.next <= state.revision)) deliver(connection, watch);
    });
  }

  function deliver(connection: Connection, watch: Watch): void {
    const { query, handlers } = watch;
    if (!watch.started) {
      watch.started = true;
      const foreign = query.clusterId !== undefined && query.clusterId !== state.clusterId;
      if (foreign || state.revision < query.fromRevision - 1)
        return endWatch(connection, watch, { reason: "otherCluster", error: new Error("another cluster or revision went back") });
      handlers.onStarted?.();
      if (watch.ended) return;
    }
    if (watch.next < state.compacted)
      return endWatch(connection, watch, { reason: "compacted", error: new Error(`compacted at ${state.compacted}`) });
    const events: WatchEvent[] = [];
    const until = Math.min(state.revision, watch.next + BATCH_REVISIONS - 1);
    for (let revision = watch.next; revision <= until; revision++) {
      for (const event of state.batchAt(revision)) {
        const key = event.type === "put" ? event.kv.key : event.key;
        if (key >= query.start && key < query.end) events.push(event);
      }
    }
    watch.next = Math.max(watch.next, until + 1);
    const last = events.at(-1);
    if (last) connection.identity.saw(until);
    if (last) handlers.onEvents(events, last.type === "put" ? last.kv.modRevision : last.modRevision);
  }

  function dropWatches(connection: Connection, end: WatchEnd): void {
    for (const watch of [...connection.watches]) endWatch(connection, watch, end);
  }

  function connect(): MemoryKv {
    const connection: Connection = {
      ...{ up: true, closed: false, delayMs: 0, loseAnswer: false, epoch: 0 },
      ...{ watches: new Set<Watch>(), identity: createStoreIdentity() },
    };
    connections.add(connection);

    /** One round trip: the request travels, is applied at once, and its answer may be lost on the way back. */
    async function call<T>(kind: "read" | "write", apply: () => T): Promise<T> {
      refuseClosed(connection);
      const epoch = connection.epoch;
      const answered = connection.identity.asks();
      await (connection.delayMs > 0 ? clock.sleep(connection.delayMs) : undefined);
      refuseClosed(connection);
      if (!connection.up || connection.epoch !== epoch)
        throw new AppError("etcd/unreachable", "etcd cannot be reached (the connection is cut)");
      const result = apply();
      if (kind === "write") wakeWatches();
      const header = { revision: state.revision, clusterId: state.clusterId };
      const lost = kind === "write" && connection.loseAnswer;
      if (lost) connection.loseAnswer = false;
      await undefined;
      if (kind === "write" && (lost || connection.epoch !== epoch))
        throw new AppError("etcd/unknown-outcome", "the connection to etcd broke before the answer came");
      answered(header);
      return result;
    }

    return {
      get: (key) => call("read", () => state.get(key)),
      range: (query): Promise<RangeResult> => call("read", () => state.range(query)),
      txn: (txn: Txn): Promise<TxnResult> => call("write", () => state.txn(txn)),
      watch(query, handlers) {
        const watch: Watch = { query, handlers, next: query.fromRevision, started: false, ended: false, pumping: false };
        connection.watches.add(watch);
        if (connection.closed) queueMicrotask(() => endWatch(connection, watch, { reason: "closed" }));
        else if (!connection.up)
          queueMicrotask(() => endWatch(connection, watch, { reason: "error", error: new Error("the connection is cut") }));
        else pump(connection, watch);
        return () => endWatch(connection, watch, { reason: "closed" });
      },
      grantLease: (ttlMs) =>
        call("write", () => {
          const granted = Math.max(1, Math.ceil(ttlMs / 1000)) * 1000;
          const lease = String(nextLease++);
          state.grant(lease);
          armLease(lease, granted);
          return { lease, ttlMs: granted };
        }),
      keepAlive: (lease) =>
        call("read", () => {
          const known = leases.get(lease);
          if (!known) throw new AppError("etcd/lease-gone", `the lease ${lease} does not exist`);
          armLease(lease, known.ttlMs);
          return { ttlMs: known.ttlMs };
        }),
      revokeLease: (lease) => call("write", () => expireLease(lease)),
      onReplaced: connection.identity.onReplaced,
      async close() {
        connection.closed = true;
        connections.delete(connection);
        dropWatches(connection, { reason: "closed" });
      },
      disconnect() {
        connection.up = false;
        connection.epoch += 1;
        dropWatches(connection, { reason: "error", error: new Error("the connection is cut") });
      },
      reconnect() {
        connection.up = true;
      },
      setDelay(ms) {
        connection.delayMs = ms;
      },
      loseNextAnswer() {
        connection.loseAnswer = true;
      },
    };
  }

  return {
    connect,
    revision: () => state.revision,
    compact: (revision = state.revision) => state.compact(revision),
    expireLease,
    reset() {
      for (const lease of leases.values()) lease.cancel();
      leases.clear();
      clusters += 1;
      state = new MemoryState(String(clusters));
      for (const connection of connections) dropWatches(connection, { reason: "error", error: new Error("etcd was restarted") });
    },
    progress() {
      for (const connection of connections)
        for (const watch of connection.watches)
          if (watch.started && watch.next > state.revision) watch.handlers.onProgress?.(state.revision);
    },
  };
}

function refuseClosed(connection: Connection): void {
  if (connection.closed) throw new AppError("etcd/closed", "the store was closed");
}
