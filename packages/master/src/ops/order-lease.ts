/**
 * One lease that many orders share: granted ahead, used for an hour, living for another one, so that leases do not grow with orders and
 * an order costs one write. Etcd away: `current` fails with `etcd/unreachable`.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Kv, LeaseId } from "fleetcron-shared/store/kv";

/** An order lives at least this long. */
export const ORDER_TTL_MS = 3_600_000;

export type OrderLease = {
  /** A lease with at least `ORDER_TTL_MS` left. */
  current(): Promise<LeaseId>;
  /** Etcd has said that `lease` is gone: the next `current` grants another. */
  forget(lease: LeaseId): void;
};

type Held = { readonly lease: LeaseId; readonly usableUntil: MonoMs };

/** `minTtlMs`: of other things than orders, how long they live at least. */
export function createOrderLease(deps: { kv: Pick<Kv, "grantLease">; clock: Pick<Clock, "mono"> }, minTtlMs = ORDER_TTL_MS): OrderLease {
  let held: Held | undefined;
  let granting: Promise<Held> | undefined;

  async function grant(): Promise<Held> {
    const askedAt = deps.clock.mono();
    const { lease, ttlMs } = await deps.kv.grantLease(2 * minTtlMs);
    return { lease, usableUntil: askedAt + ttlMs - minTtlMs };
  }

  return {
    async current() {
      if (held !== undefined && deps.clock.mono() < held.usableUntil) return held.lease;
      granting ??= grant().finally(() => {
        granting = undefined;
      });
      held = await granting;
      return held.lease;
    },
    forget(lease) {
      if (held?.lease === lease) held = undefined;
    },
  };
}
