/** Ranges of missed ticks: made longer by further ticks, cut where a node has reported after all. Pure. */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Instants } from "fleetcron-shared/model/calendar/rule-schedule";
import { MAX_SPAN_MS, type MissedRange, NO_NODE, type TickSpan } from "fleetcron-shared/model/missed";

/** One more tick for a range. */
export type MissedTick = Pick<MissedRange, "ruleId" | "node" | "reason"> & { readonly dueMs: EpochMs };

/** Whether what a node has reported is about ticks of the range: of one without a node, whoever reports. */
export function concerns(range: MissedRange, span: TickSpan): boolean {
  if (range.ruleId !== span.ruleId || (range.node !== NO_NODE && range.node !== span.node)) return false;
  return span.firstMs <= range.lastMs && span.lastMs >= range.firstMs;
}

/** Whether the tick follows the range without one in between. */
export function follows(range: MissedRange, tick: MissedTick, times: Instants): boolean {
  const { ruleId, node, reason, dueMs } = tick;
  if (range.ruleId !== ruleId || range.node !== node || range.reason !== reason) return false;
  return dueMs > range.lastMs && times.nextAfter(range.lastMs) === dueMs;
}

/** Whether there is room for it. */
export function fits(range: MissedRange, dueMs: EpochMs): boolean {
  return dueMs - range.firstMs < MAX_SPAN_MS;
}

/** Of a distance: due times are whole milliseconds. */
const NEARLY = 1e-3;

/**
 * What is left of `range` without the ticks of `span`, in order. `times`: when its rule is due; undefined (the job has been changed since): the parts are
 * estimates where the timer is not an even one.
 */
export function cut(range: MissedRange, span: Pick<TickSpan, "firstMs" | "lastMs">, times: Instants | undefined): MissedRange[] {
  if (span.firstMs <= range.firstMs && span.lastMs >= range.lastMs) return [];
  if (span.lastMs < range.firstMs || span.firstMs > range.lastMs) return [range];
  return times === undefined ? cutEvenly(range, span) : cutByTicks(range, span, times);
}

function cutByTicks(range: MissedRange, span: Pick<TickSpan, "firstMs" | "lastMs">, times: Instants): MissedRange[] {
  const { firstMs, lastMs, count } = range;
  const beforeMs = times.lastAtOrBefore(span.firstMs - 1);
  const afterMs = times.nextAfter(span.lastMs);
  const covered = ticksIn(times, Math.max(firstMs, span.firstMs), Math.min(lastMs, span.lastMs));
  const hasBefore = beforeMs !== undefined && beforeMs >= firstMs;
  const hasAfter = afterMs !== undefined && afterMs <= lastMs;
  // Only a hole in the middle needs more counting.
  const before = hasBefore ? (hasAfter ? ticksIn(times, firstMs, beforeMs) : count - covered) : 0;
  const after = hasAfter ? count - covered - before : 0;
  return [
    ...(hasBefore ? [{ ...range, lastMs: beforeMs, count: Math.max(1, before) }] : []),
    ...(hasAfter ? [{ ...range, firstMs: afterMs, count: Math.max(1, after) }] : []),
  ];
}

function ticksIn(times: Instants, fromMs: EpochMs, untilMs: EpochMs): number {
  let count = 0;
  for (let at = times.nextAfter(fromMs - 1); at !== undefined && at <= untilMs; at = times.nextAfter(at)) count += 1;
  return count;
}

/** As if the ticks had all the same distance: exact for most timers, near for the others. */
function cutEvenly(range: MissedRange, span: Pick<TickSpan, "firstMs" | "lastMs">): MissedRange[] {
  const { firstMs, lastMs, count } = range;
  const distance = (lastMs - firstMs) / (count - 1);
  const at = (tick: number) => (tick >= count - 1 ? lastMs : Math.round(firstMs + tick * distance));
  const before = Math.ceil((span.firstMs - firstMs) / distance - NEARLY);
  const after = Math.floor((span.lastMs - firstMs) / distance + NEARLY) + 1;
  return [
    ...(before > 0 ? [{ ...range, lastMs: at(before - 1), count: before }] : []),
    ...(after < count ? [{ ...range, firstMs: at(after), count: count - after }] : []),
  ];
}
