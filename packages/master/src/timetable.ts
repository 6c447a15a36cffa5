/**
 * When the rules of jobs are due, for answers to people: schedules shared by the rules that have the same one. Pure but for its cache, which
 * is bounded. The agents decide with the same calendar (shared/model/calendar) when to fire.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { type Instants, instantsOf, ruleScheduleInput } from "fleetcron-shared/model/calendar/rule-schedule";
import { compileSchedule, type Schedule, scheduleKey } from "fleetcron-shared/model/calendar/schedule";
import type { Job, Rule } from "fleetcron-shared/model/job";

/** The ticks of one rule, within its `from` and `until`. */
export type RuleTimes = Instants & {
  readonly words: string;
  /** Whether the rule has due times beyond the one at submission. */
  readonly kind: Schedule["kind"] | "submit";
};

/** Gives the times of rules. */
export type Timetable = {
  of(job: Job, rule: Rule): RuleTimes;
  /** The first tick of any rule after `ms`, or undefined. Kept until it has passed, for lists that are sorted by it. */
  next(job: Job, ms: EpochMs): EpochMs | undefined;
  readonly timezone: string;
};

const MAX_CACHED = 20_000;

export function createTimetable(timezone: string): Timetable {
  const cache = new Map<string, Schedule>();
  /** Of each form of a job: from `fromMs` on until `next`, that is its next tick. */
  const nexts = new WeakMap<Job, { readonly fromMs: EpochMs; readonly next: EpochMs | undefined }>();

  function scheduleOf(job: Job, rule: Rule, timer: string): Schedule {
    const input = ruleScheduleInput(job, rule, timer, timezone);
    const key = scheduleKey(input);
    const known = cache.get(key);
    if (known !== undefined) return known;
    if (cache.size >= MAX_CACHED) cache.clear();
    const schedule = compileSchedule(input);
    cache.set(key, schedule);
    return schedule;
  }

  function of(job: Job, rule: Rule): RuleTimes {
    if (rule.timer === undefined) return atSubmission(job, rule);
    const schedule = scheduleOf(job, rule, rule.timer);
    const { nextAfter, lastAtOrBefore } = instantsOf(rule, schedule);
    return {
      // Put into words only for people.
      get words() {
        return schedule.describe();
      },
      ...{ kind: schedule.kind, nextAfter, lastAtOrBefore },
    };
  }

  return {
    timezone,
    of,
    next(job, ms) {
      const known = nexts.get(job);
      if (known !== undefined && ms >= known.fromMs && (known.next === undefined || ms < known.next)) return known.next;
      const ticks = job.rules.map((rule) => of(job, rule).nextAfter(ms)).filter((tick) => tick !== undefined);
      const next = ticks.length === 0 ? undefined : Math.min(...ticks);
      nexts.set(job, { fromMs: ms, next });
      return next;
    },
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
