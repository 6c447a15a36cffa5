/** Expected starts and running processes per minute, from ticks, node counts and mean durations; and the minutes that stand out. Pure. */
import type { EpochMs } from "fleetcron-shared/base/clock";

export const MINUTE_MS = 60_000;

export type Load = { readonly fromMs: EpochMs; readonly starts: Float64Array; readonly running: Float64Array };

export function emptyLoad(fromMs: EpochMs, minutes: number): Load {
  return { fromMs, starts: new Float64Array(minutes), running: new Float64Array(minutes) };
}

/** Adds `processes` that start at each of the ticks and take `meanMs`. Ticks before the first minute count with what is left of them. */
export function addLoad(load: Load, ticks: readonly EpochMs[], processes: number, meanMs: number): void {
  const minutes = load.starts.length;
  for (const tick of ticks) {
    const begin = (tick - load.fromMs) / MINUTE_MS;
    const first = Math.floor(begin);
    if (first >= 0 && first < minutes) load.starts[first] = (load.starts[first] ?? 0) + processes;
    const end = Math.min(minutes, begin + meanMs / MINUTE_MS);
    for (let minute = Math.max(0, first); minute < end; minute++) {
      const share = Math.min(end, minute + 1) - Math.max(begin, minute);
      load.running[minute] = (load.running[minute] ?? 0) + share * processes;
    }
  }
}

/** Minutes with far more starts than usual (three standard deviations above the mean, and at least 2), greatest first; neighbours of a greater one are left out. */
export function peakMinutes(starts: ArrayLike<number>, most: number): number[] {
  const all = Array.from(starts);
  if (all.length === 0) return [];
  const mean = all.reduce((sum, n) => sum + n, 0) / all.length;
  const deviation = Math.sqrt(all.reduce((sum, n) => sum + (n - mean) ** 2, 0) / all.length);
  const usual = mean + 3 * deviation + 1e-9;
  const found: number[] = [];
  const order = all
    .map((count, minute) => ({ count, minute }))
    .filter(({ count }) => count >= 2 && count > usual)
    .sort((a, b) => b.count - a.count || a.minute - b.minute);
  for (const { minute } of order) {
    if (found.length >= most) break;
    if (!found.some((peak) => Math.abs(peak - minute) <= 1)) found.push(minute);
  }
  return found;
}
