/** Whether something grows: bounds, and the judgement of a series of samples under them. Pure. */

export type Sample = { readonly atMs: number; readonly value: number };

export type Bound =
  /** The trend of the troughs (the least of each minute), per hour. What is used between two collections of garbage is no growth. */
  | { readonly kind: "slope"; readonly perHour: number }
  /** The median of the second half may exceed that of the first by so much. */
  | { readonly kind: "level"; readonly slack: number }
  /** No sample may exceed it. */
  | { readonly kind: "most"; readonly value: number }
  /** Grows by design: shown, not judged. */
  | { readonly kind: "told" };

export type Judgement = {
  readonly ok: boolean;
  readonly first: number;
  readonly second: number;
  readonly most: number;
  readonly perHour: number;
};

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Fewer samples say nothing. */
const ENOUGH = 4;

/** Judges what comes after the first `warmUpMs`. Too few samples do not pass. */
export function judge(bound: Bound, series: readonly Sample[], warmUpMs: number): Judgement {
  const startMs = series[0]?.atMs ?? 0;
  const counted = series.filter(({ atMs }) => atMs - startMs >= warmUpMs);
  const half = Math.floor(counted.length / 2);
  const [first, second] = [medianOf(counted.slice(0, half)), medianOf(counted.slice(half))];
  const perHour = slopePerHour(troughs(counted, MINUTE_MS));
  const most = Math.max(...series.map(({ value }) => value));
  const enough = counted.length >= ENOUGH;
  return { ok: enough && holds(bound, { first, second, most, perHour }), first, second, most, perHour };
}

function holds(bound: Bound, { first, second, most, perHour }: Omit<Judgement, "ok">): boolean {
  if (bound.kind === "told") return true;
  if (bound.kind === "most") return most <= bound.value;
  return bound.kind === "slope" ? perHour <= bound.perHour : second - first <= bound.slack;
}

/** The least sample of each stretch of time. */
export function troughs(series: readonly Sample[], stretchMs: number): Sample[] {
  const startMs = series[0]?.atMs ?? 0;
  const stretches = Map.groupBy(series, ({ atMs }) => Math.floor((atMs - startMs) / stretchMs));
  return [...stretches.values()].map((stretch) => stretch.reduce((least, one) => (one.value < least.value ? one : least)));
}

/** The median of the slopes between all pairs (Theil and Sen): a few samples that lie far off do not change it. 0 for fewer than two. */
export function slopePerHour(series: readonly Sample[]): number {
  const slopes: number[] = [];
  for (const [i, from] of series.entries()) {
    for (const to of series.slice(i + 1)) if (to.atMs > from.atMs) slopes.push(((to.value - from.value) * HOUR_MS) / (to.atMs - from.atMs));
  }
  return slopes.length === 0 ? 0 : middle(slopes);
}

function medianOf(samples: readonly Sample[]): number {
  return middle(samples.map(({ value }) => value));
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
