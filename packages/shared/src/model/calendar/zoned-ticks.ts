/**
 * From local times to instants: the one place where gaps and folds are decided. It walks the zone's segments; in each, local times map
 * to instants by one addition. What the rules mean is written in schedule.ts.
 *
 * A segment is left for the next one, and from there the walk jumps to the segment of the next local match: a rare expression costs a
 * few lookups, not a walk through the years.
 */
import type { DstFold, DstGap } from "../job-spec.ts";
import type { LocalSec, LocalTimes } from "./local-times.ts";
import type { EpochSec, Segment, Zone } from "./zone.ts";

export type ZonedRules = { readonly zone: Zone; readonly times: LocalTimes; readonly gap: DstGap; readonly fold: DstFold };

const DAY = 86_400;
/** Offsets lie within ±16 h and change by at most a day, so local and real time never differ by more than this. */
const SLACK = 2 * DAY;
/** How far a search goes: 29 February on a given weekday can be 40 years away (2100 is no leap year). */
const HORIZON = 50 * 366 * DAY;
const [LEAST, GREATEST] = [Date.UTC(1000, 0, 1) / 1000, Date.UTC(9999, 0, 1) / 1000];

/** The first tick after `sec`, or undefined when there is none in 50 years. */
export function tickAfter(rules: ZonedRules, sec: EpochSec): EpochSec | undefined {
  const limit = Math.min(sec + HORIZON, GREATEST);
  let from = Math.max(sec + 1, LEAST);
  while (from <= limit) {
    const segment = rules.zone.at(from);
    if (segment.startSec >= from && hasGapTick(rules, segment)) return segment.startSec;
    const low = Math.max(from + segment.offsetSec, firstLocal(rules, segment));
    const high = endLocal(rules, segment);
    const local = rules.times.atOrAfter(low);
    if (local === undefined) return undefined;
    if (local < high) return local - segment.offsetSec;
    from = high - low > SLACK ? Math.max(segment.endSec, local - SLACK) : segment.endSec;
  }
  return undefined;
}

/** The last tick at or before `sec`, or undefined when there is none in 50 years. */
export function tickAtOrBefore(rules: ZonedRules, sec: EpochSec): EpochSec | undefined {
  const limit = Math.max(sec - HORIZON, LEAST);
  let to = Math.min(sec, GREATEST);
  while (to >= limit) {
    const segment = rules.zone.at(to);
    const low = firstLocal(rules, segment);
    const high = Math.min(to + segment.offsetSec, endLocal(rules, segment) - 1);
    const local = rules.times.atOrBefore(high);
    if (local === undefined) return undefined;
    if (local >= low) return local - segment.offsetSec;
    if (hasGapTick(rules, segment)) return segment.startSec;
    to = high - low > SLACK ? Math.min(segment.startSec - 1, local + SLACK) : segment.startSec - 1;
  }
  return undefined;
}

/** Whether a local time that the segment's start skips fires there. */
function hasGapTick({ times, gap }: ZonedRules, segment: Segment): boolean {
  if (gap === "skip" || segment.offsetSec <= segment.beforeSec) return false;
  const skipped = times.atOrAfter(segment.startSec + segment.beforeSec);
  return skipped !== undefined && skipped < segment.startSec + segment.offsetSec;
}

/** Where the segment's local times begin to count: after the part that the previous segment has had, when the first pass is wanted. */
function firstLocal({ fold }: ZonedRules, { startSec, offsetSec, beforeSec }: Segment): LocalSec {
  return startSec + (fold === "first" ? Math.max(offsetSec, beforeSec) : offsetSec);
}

/** Where they cease to count (exclusive): before the part that comes again, when the second pass is wanted. */
function endLocal({ fold }: ZonedRules, { endSec, offsetSec, afterSec }: Segment): LocalSec {
  return endSec + (fold === "second" ? Math.min(offsetSec, afterSec) : offsetSec);
}
