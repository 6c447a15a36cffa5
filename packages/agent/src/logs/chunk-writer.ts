/**
 * Puts the chunks of logs into etcd: under leases of a minute that all readers of this node share, no faster than the node's budget for
 * them, and only while the order exists that asked for them. Etcd away: tries again until the order is called off.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { isCode } from "fleetcron-shared/base/errors";
import type { LogChunk, LogOrder } from "fleetcron-shared/model/facts";
import { exists, type Kv, type LeaseId } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

const LEASE_MS = 60_000;
const LEASE_USE_MS = 30_000;
const RETRY_MS = 500;
/** Squeezing costs the agent time: text that shrinks to less than this share counts as if it did not. */
const SQUEEZED = 4;

export type ChunkDeps = {
  readonly kv: Pick<Kv, "txn" | "grantLease">;
  readonly clock: Clock;
  readonly keys: Keys;
  readonly nodeId: string;
};

/** Bytes a second for all readers together; what was not used in the last second may be used at once. */
export type Budget = { readonly perSecond: number; take(bytes: number, signal: AbortSignal): Promise<void> };

export function createBudget(clock: Pick<Clock, "mono" | "sleep">, perSecond: number): Budget {
  let paidUntil: MonoMs = Number.NEGATIVE_INFINITY;
  return {
    perSecond,
    async take(bytes, signal) {
      const now = clock.mono();
      paidUntil = Math.max(paidUntil, now - 1000) + (bytes * 1000) / perSecond;
      if (paidUntil > now) await clock.sleep(paidUntil - now, signal);
    },
  };
}

export type ChunkLeases = { current(): Promise<LeaseId>; forget(lease: LeaseId): void };

/** A lease is used for half of its time and not renewed: chunks vanish between half a minute and a minute after they were put. */
export function createChunkLeases(deps: Pick<ChunkDeps, "kv" | "clock">): ChunkLeases {
  let held: { lease: LeaseId; until: MonoMs } | undefined;
  let granting: Promise<LeaseId> | undefined;
  async function grant(): Promise<LeaseId> {
    const until = deps.clock.mono() + LEASE_USE_MS;
    const { lease } = await deps.kv.grantLease(LEASE_MS);
    held = { lease, until };
    return lease;
  }
  return {
    current() {
      if (held !== undefined && deps.clock.mono() < held.until) return Promise.resolve(held.lease);
      granting ??= grant().finally(() => {
        granting = undefined;
      });
      return granting;
    },
    forget(lease) {
      if (held?.lease === lease) held = undefined;
    },
  };
}

/** Puts one chunk after the other; false when nobody wants them any more. */
export type ChunkWriter = (chunk: Omit<LogChunk, "v">) => Promise<boolean>;

export function createChunkWriter(
  deps: ChunkDeps & { readonly leases: ChunkLeases; readonly budget: Budget },
  order: LogOrder,
  signal: AbortSignal,
): ChunkWriter {
  const { kv, clock, keys, leases, budget } = deps;
  const wanted = exists(keys.order(deps.nodeId, order.id));
  let seq = 0;
  return async (chunk) => {
    const value = encode({ v: 1, ...chunk });
    const key = keys.logChunk(order.execution, order.id, seq++);
    await budget.take(Math.max(value.length, (chunk.to - chunk.from) / SQUEEZED), signal);
    while (!signal.aborted) {
      let lease: LeaseId | undefined;
      try {
        lease = await leases.current();
        return (await kv.txn({ if: [wanted], then: [{ op: "put", key, value, lease }] })).succeeded;
      } catch (thrown) {
        if (lease !== undefined && isCode(thrown, "etcd/lease-gone")) leases.forget(lease);
        else if (isCode(thrown, "etcd/closed")) return false;
        else await clock.sleep(RETRY_MS, signal);
      }
    }
    return false;
  };
}
