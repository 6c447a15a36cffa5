/** From a rule to its instants: what the schedule is compiled from, and the rule's `from` and `until` around it. Pure. */
import type { EpochMs } from "../../base/clock.ts";
import type { Job, Rule } from "../job.ts";
import type { Schedule, ScheduleInput } from "./schedule.ts";

/** Due times in order. */
export type Instants = {
  /** Strictly later; undefined = never again. */
  nextAfter(ms: EpochMs): EpochMs | undefined;
  lastAtOrBefore(ms: EpochMs): EpochMs | undefined;
};

/** What the schedule of a `cycle` rule is compiled from; rules with an equal `scheduleKey` of it can share one. */
export function ruleScheduleInput(job: Pick<Job, "key" | "createdAtMs">, rule: Rule, timer: string, defaultZone: string): ScheduleInput {
  return {
    timer,
    timezone: rule.timezone ?? defaultZone,
    hashSeed: job.key,
    anchorMs: job.createdAtMs,
    dstGap: rule.dstGap,
    dstFold: rule.dstFold,
  };
}

/** The instants of `schedule` within the rule's `from` and `until`, both inclusive. */
export function instantsOf(rule: Pick<Rule, "fromMs" | "untilMs">, schedule: Schedule): Instants {
  const { fromMs, untilMs } = rule;
  if (fromMs === undefined && untilMs === undefined) return schedule;
  return {
    nextAfter(ms) {
      const next = schedule.nextAfter(fromMs === undefined ? ms : Math.max(ms, fromMs - 1));
      return next === undefined || (untilMs !== undefined && next > untilMs) ? undefined : next;
    },
    lastAtOrBefore(ms) {
      const last = schedule.lastAtOrBefore(untilMs === undefined ? ms : Math.min(ms, untilMs));
      return last === undefined || (fromMs !== undefined && last < fromMs) ? undefined : last;
    },
  };
}
