/** So many at once, then so many in a time, for each name. Held in memory, and of a bounded number of names. */
import type { Clock } from "fleetcron-shared/base/clock";

export type RateLimit = {
  /** Whether one more is allowed now. */
  allows(name: string): boolean;
  /** Counts one, and says whether it was allowed. */
  take(name: string): boolean;
};

type Bucket = { tokens: number; atMs: number };
const MAX_NAMES = 10_000;

export function createRateLimit(
  deps: { readonly clock: Pick<Clock, "mono"> },
  limit: { readonly burst: number; readonly everyMs: number },
): RateLimit {
  const buckets = new Map<string, Bucket>();

  function bucketOf(name: string): Bucket {
    const now = deps.clock.mono();
    const known = buckets.get(name);
    const bucket = known ?? { tokens: limit.burst, atMs: now };
    bucket.tokens = Math.min(limit.burst, bucket.tokens + (now - bucket.atMs) / limit.everyMs);
    bucket.atMs = now;
    return bucket;
  }

  return {
    allows: (name) => bucketOf(name).tokens >= 1,
    take(name) {
      const bucket = bucketOf(name);
      // The name that was not heard of for longest goes.
      buckets.delete(name);
      const [oldest] = buckets.keys();
      if (buckets.size >= MAX_NAMES && oldest !== undefined) buckets.delete(oldest);
      buckets.set(name, bucket);
      if (bucket.tokens < 1) return false;
      bucket.tokens -= 1;
      return true;
    },
  };
}
