/**
 * A rule's timer as a schedule: pure questions about instants, answered from the timer, its zone and the platform's zone data alone.
 * Answers are strictly monotone: `nextAfter` is later than what was asked, and a series of them never repeats or goes back.
 *
 * Where clocks change, two settings decide:
 * - dstGap, for local times that a clock set forward skips: `next` fires once at the end of the gap, however many of the expression's
 *   times lie in it (and not again if that instant is due anyway); `skip` does not fire for them.
 * - dstFold, for local times that a clock set back shows twice: `first`, `second` or `both` passes fire.
 * An expression with fixed hours defaults to `next` and `first`: once a day stays once a day. One whose hour field covers all 24 hours
 * defaults to `skip` and `both`, which is real time: it fires whenever the clock on the wall shows a matching time, so every ten minutes
 * stay ten minutes through a fold and a gap. A setting that is given is honoured in either case. The same rules hold for every change
 * of a zone's offset, also where a zone dropped a whole day.
 */
import type { EpochMs } from "../../base/clock.ts";
import type { DstFold, DstGap } from "../job-spec.ts";
import type { CronFields } from "./cron-fields.ts";
import { describeTimer } from "./describe.ts";
import { createLocalTimes } from "./local-times.ts";
import { parseTimer, timerError } from "./timer.ts";
import { tickAfter, tickAtOrBefore, type ZonedRules } from "./zoned-ticks.ts";
import { zoneOf } from "./zones.ts";

export type ScheduleInput = {
  readonly timer: string;
  /** IANA name. */
  readonly timezone: string;
  /** What `H` is drawn from: `group/id`. */
  readonly hashSeed: string;
  /** Where `@every` counts from: the job's creation. */
  readonly anchorMs: EpochMs;
  readonly dstGap?: DstGap | undefined;
  readonly dstFold?: DstFold | undefined;
};

export type Schedule = {
  readonly kind: "cron" | "every" | "at" | "startup";
  /** The first tick strictly later than `ms`; undefined = never again. `startup` has no ticks: the agent knows when it starts. */
  nextAfter(ms: EpochMs): EpochMs | undefined;
  /** The last tick at or before `ms`; undefined = none. */
  lastAtOrBefore(ms: EpochMs): EpochMs | undefined;
  /** In words. */
  describe(): string;
};

/** Compiles a timer. AppError `input/invalid` names the field, the value and what is allowed; an expression that never fires is refused too. */
export function compileSchedule(input: ScheduleInput): Schedule {
  const timer = parseTimer(input.timer, input.hashSeed);
  const zone = zoneOf(input.timezone);
  const describe = (): string => describeTimer(timer, input.timezone, input.anchorMs);
  switch (timer.kind) {
    case "startup":
      return { kind: "startup", nextAfter: () => undefined, lastAtOrBefore: () => undefined, describe };
    case "at":
      return {
        kind: "at",
        nextAfter: (ms) => (timer.atMs > ms ? timer.atMs : undefined),
        lastAtOrBefore: (ms) => (timer.atMs <= ms ? timer.atMs : undefined),
        describe,
      };
    case "every":
      return { kind: "every", ...everyTicks(timer.periodMs, input.anchorMs), describe };
    case "cron": {
      const times = createLocalTimes(timer.fields);
      if (times.atOrAfter(0) === undefined) throw neverFires(input.timer, timer.fields);
      const elapsed = timer.fields.hours.length === 24;
      const rules: ZonedRules = {
        zone,
        times,
        gap: input.dstGap ?? (elapsed ? "skip" : "next"),
        fold: input.dstFold ?? (elapsed ? "both" : "first"),
      };
      return {
        kind: "cron",
        nextAfter: (ms) => toMs(tickAfter(rules, Math.floor(ms / 1000))),
        lastAtOrBefore: (ms) => toMs(tickAtOrBefore(rules, Math.floor(ms / 1000))),
        describe,
      };
    }
  }
}

/** Equal for inputs whose schedules are the same, so that many jobs can share one: the anchor counts for `@every` alone, the seed only where there is an `H`. */
export function scheduleKey(input: ScheduleInput): string {
  const timer = input.timer.trim().replace(/\s+/g, " ").toUpperCase();
  if (timer.startsWith("@EVERY")) return `${timer}|${input.timezone}|${input.anchorMs}`;
  const seed = /(^|[ ,])H/.test(timer) ? input.hashSeed : "";
  return `${timer}|${input.timezone}|${input.dstGap ?? ""}|${input.dstFold ?? ""}|${seed}`;
}

/** The anchor itself is no tick: the first is one period after it. */
function everyTicks(periodMs: number, anchorMs: EpochMs): Pick<Schedule, "nextAfter" | "lastAtOrBefore"> {
  const periodsAt = (ms: EpochMs): number => Math.floor((ms - anchorMs) / periodMs);
  return {
    nextAfter: (ms) => anchorMs + Math.max(1, periodsAt(ms) + 1) * periodMs,
    lastAtOrBefore: (ms) => (periodsAt(ms) < 1 ? undefined : anchorMs + periodsAt(ms) * periodMs),
  };
}

function neverFires(timer: string, { texts, bothDays }: CronFields): Error {
  const [, , , days = "*", month = "*", weekdays = "*"] = texts;
  const weekday = bothDays && weekdays !== "*" ? ` and day of week ${weekdays}` : "";
  const message = `never fires: no date has day of month ${days}${weekday} in month ${month}`;
  return timerError(timer, [{ message, hint: "L is the last day of a month" }]);
}

function toMs(sec: number | undefined): EpochMs | undefined {
  return sec === undefined ? undefined : sec * 1000;
}
