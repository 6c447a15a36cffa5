/** When a timer of a pipeline is due, and which of the ticks that have passed still run. Pure. */
import { type EpochMs, fromIso } from "../../base/clock.ts";
import { parseDuration } from "../../base/duration.ts";
import { type Instants, instantsOf } from "../calendar/rule-schedule.ts";
import { compileSchedule, type Schedule } from "../calendar/schedule.ts";
import { ticksBetween } from "../calendar/ticks.ts";
import { type TimerTrigger, TRIGGER_DEFAULTS } from "./trigger-spec.ts";

/** So late a tick may be and still count as on time: as long as it takes another master to lead. */
export const ON_TIME_MS = 15_000;
/** Ticks that are looked at at once; more have passed only when nobody led for long. */
const MAX_TICKS = 1000;

export type TriggerTimes = Instants & { readonly words: string; readonly kind: Schedule["kind"] };

/** Throws `input/invalid` for a timer that is none. `anchorMs`: what `@every` counts from. */
export function timesOf(rule: TimerTrigger, at: { seed: string; anchorMs: EpochMs; timezone: string }): TriggerTimes {
  const { timer, timezone = at.timezone, dstGap, dstFold, from, until } = rule;
  const schedule = compileSchedule({ timer, timezone, hashSeed: at.seed, anchorMs: at.anchorMs, dstGap, dstFold });
  const bounds = { fromMs: from === undefined ? undefined : fromIso(from), untilMs: until === undefined ? undefined : fromIso(until) };
  const { nextAfter, lastAtOrBefore } = instantsOf(bounds, schedule);
  return { nextAfter, lastAtOrBefore, words: schedule.describe(), kind: schedule.kind };
}

/** What becomes of the ticks in `(afterMs, nowMs]`. */
export type Due = {
  /** Oldest first. */
  readonly fire: readonly EpochMs[];
  /** The newest of those that do not run although the policy does not ask for that. */
  readonly missed: EpochMs | undefined;
  /** All of them are dealt with up to here. */
  readonly untilMs: EpochMs;
};

/** Undefined when none has passed. */
export function dueTicks(
  rule: Pick<TimerTrigger, "misfire" | "misfireWindow">,
  times: Instants,
  afterMs: EpochMs,
  nowMs: EpochMs,
): Due | undefined {
  const misfire = rule.misfire ?? TRIGGER_DEFAULTS.misfire;
  const windowMs = (rule.misfireWindow === undefined ? undefined : parseDuration(rule.misfireWindow)) ?? TRIGGER_DEFAULTS.misfireWindowMs;
  const lastMs = times.lastAtOrBefore(nowMs);
  if (lastMs === undefined || lastMs <= afterMs) return undefined;
  const fromMs = Math.max(afterMs, nowMs - windowMs - 1);
  const passed = ticksBetween(times, fromMs, nowMs, MAX_TICKS);
  // Of very many the newest count for `once` and `skip`, and `all` goes on from where it is.
  const untilMs = passed.length === MAX_TICKS && misfire === "all" ? (passed.at(-1) ?? lastMs) : lastMs;
  const window = passed.length === MAX_TICKS && misfire !== "all" ? [lastMs] : passed;
  const onTime = window.filter((tick) => tick >= nowMs - ON_TIME_MS);
  const late = window.filter((tick) => tick < nowMs - ON_TIME_MS);
  const beforeMs = fromMs > afterMs ? times.lastAtOrBefore(fromMs) : undefined;
  const outside = beforeMs !== undefined && beforeMs > afterMs ? beforeMs : undefined;
  if (misfire === "all") return { fire: window, missed: outside, untilMs };
  const newest = late.at(-1);
  if (misfire === "skip") return { fire: onTime, missed: newest ?? outside, untilMs };
  const fire = onTime.length > 0 || newest === undefined ? onTime : [newest];
  return { fire, missed: fire.length > 0 ? undefined : outside, untilMs };
}
