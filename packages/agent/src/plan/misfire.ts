/**
 * What happens to the ticks that passed before anybody looked: fire, skip or miss. Pure.
 * `graceMs`: ticks younger than this are merely late and all fire; older ones are misfires and get the job's policy.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Instants } from "fleetcron-shared/model/calendar/rule-schedule";
import type { Misfire } from "fleetcron-shared/model/job-spec";

/** Many ticks with one verdict. */
export type TickRange = { readonly firstMs: EpochMs; readonly lastMs: EpochMs; readonly count: number };
export type Passed = {
  /** Ascending. */
  readonly fire: readonly EpochMs[];
  readonly skipped: TickRange | undefined;
  readonly missed: TickRange | undefined;
  /** Everything up to here has been dealt with. */
  readonly handledMs: EpochMs;
};

/** A tick list beyond this length is not walked any further: counts are then lower bounds. */
export const MAX_PASSED_TICKS = 10_000;

export function resolvePassed(
  instants: Instants,
  input: { afterMs: EpochMs; nowMs: EpochMs; policy: Misfire; windowMs: number; graceMs: number },
): Passed {
  const { afterMs, nowMs, policy } = input;
  const newest = instants.lastAtOrBefore(nowMs);
  if (newest === undefined || newest <= afterMs) return { fire: [], skipped: undefined, missed: undefined, handledMs: afterMs };
  const oldest = instants.nextAfter(afterMs) ?? newest;
  if (oldest === newest && nowMs - newest <= input.graceMs)
    return { fire: [newest], skipped: undefined, missed: undefined, handledMs: newest };

  const windowStart = nowMs - input.windowMs;
  const missed = oldest < windowStart ? rangeOf(ticks(instants, afterMs, Math.min(windowStart - 1, newest))) : undefined;
  const inWindow = ticks(instants, Math.max(afterMs, windowStart - 1), newest);
  if (nowMs - oldest <= input.graceMs) return { fire: inWindow, skipped: undefined, missed, handledMs: newest };

  if (policy === "all") return { fire: inWindow, skipped: undefined, missed, handledMs: newest };
  const firesNewest = inWindow.length > 0 && (policy === "once" || nowMs - newest <= input.graceMs);
  return {
    fire: firesNewest ? [newest] : [],
    skipped: rangeOf(firesNewest ? inWindow.slice(0, -1) : inWindow),
    missed,
    handledMs: newest,
  };
}

function ticks(instants: Instants, afterMs: EpochMs, untilMs: EpochMs): EpochMs[] {
  const found: EpochMs[] = [];
  let at = instants.nextAfter(afterMs);
  while (at !== undefined && at <= untilMs && found.length < MAX_PASSED_TICKS) {
    found.push(at);
    at = instants.nextAfter(at);
  }
  const newest = instants.lastAtOrBefore(untilMs);
  if (newest !== undefined && newest > (found.at(-1) ?? afterMs)) found.push(newest);
  return found;
}

function rangeOf(due: readonly EpochMs[]): TickRange | undefined {
  const firstMs = due[0];
  const lastMs = due.at(-1);
  return firstMs === undefined || lastMs === undefined ? undefined : { firstMs, lastMs, count: due.length };
}
