/** When a job is due next, rule by rule. */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import type { NextResult } from "../http/api-schema.ts";
import type { RuleTimes } from "../timetable.ts";
import type { JobEntry } from "../views.ts";
import type { OpsDeps } from "./ops-deps.ts";

/** The next `n` ticks of each rule after `at` (default now). A paused job's ticks are told all the same; `paused` says that they do not fire. */
export function nextTicks(
  deps: Pick<OpsDeps, "clock" | "timetable">,
  entry: JobEntry,
  query: { n: number; at?: string | undefined },
): NextResult {
  const at = (query.at === undefined ? undefined : fromIso(query.at)) ?? deps.clock.now();
  return {
    paused: entry.job.pause,
    rules: entry.job.rules.map((rule) => {
      const times = deps.timetable.of(entry.job, rule);
      return {
        id: rule.id,
        mode: rule.mode,
        words: times.words,
        timezone: rule.timezone ?? deps.timetable.timezone,
        next: ticksOf(times, at, query.n),
      };
    }),
  };
}

/** The next `n` ticks after `ms`, as text. */
export function ticksOf(times: RuleTimes, ms: EpochMs, n: number): string[] {
  const found: string[] = [];
  for (let tick = times.nextAfter(ms); tick !== undefined && found.length < n; tick = times.nextAfter(tick)) found.push(toIso(tick));
  return found;
}
