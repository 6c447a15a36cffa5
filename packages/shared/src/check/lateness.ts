/** How late runs began, in figures: for a history, or summed over many. */

/** Upper bounds in milliseconds; what is beyond the last has a count of its own. */
export const LATENESS_BOUNDS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000] as const;

export type Lateness = {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** How many began at most so late and later than the bound before; the last one, without a bound: all later ones. */
  readonly histogram: readonly { readonly toMs?: number; readonly count: number }[];
};

/** Of begin minus due, each in milliseconds; undefined when there is none. Percentiles are the nearest rank. */
export function latenessOf(delaysMs: readonly number[]): Lateness | undefined {
  if (delaysMs.length === 0) return undefined;
  const sorted = Float64Array.from(delaysMs).sort();
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const counts = new Array<number>(LATENESS_BOUNDS.length + 1).fill(0);
  for (const delay of sorted) {
    const at = LATENESS_BOUNDS.findIndex((bound) => delay <= bound);
    const bucket = at < 0 ? LATENESS_BOUNDS.length : at;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return {
    count: sorted.length,
    p50Ms: rank(0.5),
    p99Ms: rank(0.99),
    maxMs: sorted.at(-1) ?? 0,
    histogram: counts.map((count, index) => {
      const toMs = LATENESS_BOUNDS[index];
      return toMs === undefined ? { count } : { toMs, count };
    }),
  };
}
