/**
 * When the rules of jobs are due, for answers to people: schedules shared by the rules that have the same one. Pure but for its cache, which
 * is bounded. The agents decide with the same calendar (shared/model/calendar) when to fire.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { compileSchedule, type Schedule, scheduleKey } from "fleetcron-shared/model/calendar/schedule";
import type { Job, Rule } from "fleetcron-shared/model/job";

/** The ticks of one rule, within its `from` and `until`. */
export type RuleTimes = {
  readonly words: string;
  /** Whether the rule has due times beyond the one at submission. */
  readonly kind: Schedule["kind"] | "submit";
  /** Strictly later; undefined = never again. */
  nextAfter(ms: EpochMs): EpochMs | undefined;
  lastAtOrBefore(ms: EpochMs): EpochMs | undefined;
};

/** Gives the times of rules. */
export type Timetable = { of(job: Job, rule: Rule): RuleTimes; readonly timezone: string };

const MAX_CACHED = 20_000;

export function createTimetable(timezone: string): Timetable {
  const cache = new Map<string, Schedule>();

  function scheduleOf(job: Job, rule: Rule, timer: string): Schedule {
    const input = {
      timer,
      timezone: rule.timezone ?? timezone,
      hashSeed: job.key,
      anchorMs: job.createdAtMs,
      dstGap: rule.dstGap,
      dstFold: rule.dstFold,
    };
    const key = scheduleKey(input);
    const known = cache.get(key);
    if (known !== undefined) return known;
    if (cache.size >= MAX_CACHED) cache.clear();
    const schedule = compileSchedule(input);
    cache.set(key, schedule);
    return schedule;
  }

  return {
    timezone,
    of: (job, rule) => (rule.timer === undefined ? atSubmission(job, rule) : within(rule, scheduleOf(job, rule, rule.timer))),
  };
}

/** `onlyonce` and `manyonce` have one tick: the submission. */
function atSubmission(job: Job, rule: Rule): RuleTimes {
  const at = job.submittedAtMs;
  return {
    words: rule.mode === "onlyonce" ? "once on each matching node, until it has succeeded" : "once when submitted, and at every order",
    kind: "submit",
    nextAfter: (ms) => (ms < at ? at : undefined),
    lastAtOrBefore: (ms) => (ms >= at ? at : undefined),
  };
}

function within(rule: Rule, schedule: Schedule): RuleTimes {
  const { fromMs, untilMs } = rule;
  return {
    words: schedule.describe(),
    kind: schedule.kind,
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

/** The first tick of any rule after `ms`, or undefined. */
export function nextOf(timetable: Timetable, job: Job, ms: EpochMs): EpochMs | undefined {
  const ticks = job.rules.map((rule) => timetable.of(job, rule).nextAfter(ms)).filter((tick) => tick !== undefined);
  return ticks.length === 0 ? undefined : Math.min(...ticks);
}
