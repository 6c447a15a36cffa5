/**
 * The leases under claims: one per class of misfire window and stretch of time, so that leases do not grow with ticks. A claim lives at
 * least its window plus a spare for clock differences, and is never released early.
 * Etcd away: asking fails, and the tick is held by whoever asked.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Kv, LeaseId } from "fleetcron-shared/store/kv";

const MINUTE_MS = 60_000;
const CLOCK_SPARE_MS = 10 * MINUTE_MS;
/** Windows are rounded up to these, so that a handful of leases serves all jobs. */
const CLASSES_MS = [60, 6 * 60, 24 * 60, 7 * 24 * 60, 31 * 24 * 60, 366 * 24 * 60].map((minutes) => minutes * MINUTE_MS);
const RETRY_MS = 1000;

type Bucket = { readonly untilMono: MonoMs; readonly lease: Promise<LeaseId> };

export class ClaimLeases {
  readonly #deps: { kv: Pick<Kv, "grantLease">; clock: Clock };
  readonly #buckets = new Map<number, Bucket>();
  readonly #closed = new AbortController();

  constructor(deps: { kv: Pick<Kv, "grantLease">; clock: Clock }) {
    this.#deps = deps;
  }

  /** The lease for a claim made now whose job has this misfire window. Fails like any call to etcd. */
  leaseFor(windowMs: number): Promise<LeaseId> {
    const classMs = CLASSES_MS.find((candidate) => candidate >= windowMs) ?? windowMs;
    const now = this.#deps.clock.mono();
    const bucket = this.#buckets.get(classMs);
    if (bucket !== undefined && now < bucket.untilMono) return bucket.lease;
    const stretchMs = classMs / 4;
    const lease = this.#deps.kv.grantLease(classMs + stretchMs + CLOCK_SPARE_MS).then((granted) => granted.lease);
    const fresh = { untilMono: now + stretchMs, lease };
    this.#buckets.set(classMs, fresh);
    lease.catch(() => {
      if (this.#buckets.get(classMs) === fresh) this.#buckets.delete(classMs);
    });
    return lease;
  }

  /** Like `leaseFor`, but waits for etcd; undefined once closed. */
  async patiently(windowMs: number): Promise<LeaseId | undefined> {
    while (!this.#closed.signal.aborted) {
      try {
        return await this.leaseFor(windowMs);
      } catch {
        await this.#deps.clock.sleep(RETRY_MS, this.#closed.signal);
      }
    }
    return undefined;
  }

  /** Etcd no longer knows our leases (it was restored from a backup, or they were revoked): grant new ones. */
  forget(): void {
    this.#buckets.clear();
  }

  close(): void {
    this.#closed.abort();
  }
}
