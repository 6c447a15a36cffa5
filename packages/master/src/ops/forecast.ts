/**
 * The load of the coming hours: every tick of every job that is not paused, on as many nodes as it would start on now, for as long as it takes on the mean. From
 * memory; rules with the same schedule are walked once, in slices between other work. Retries, chains, pipelines and orders are not foreseen.
 */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import { ruleScheduleInput } from "fleetcron-shared/model/calendar/rule-schedule";
import { scheduleKey } from "fleetcron-shared/model/calendar/schedule";
import type { Job, Rule } from "fleetcron-shared/model/job";
import { matchesTarget } from "fleetcron-shared/model/target";
import type { ForecastResult } from "../http/timeline-schema.ts";
import type { RuleTimes } from "../timetable.ts";
import { addLoad, emptyLoad, MINUTE_MS, peakMinutes } from "./forecast-load.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { createTurns } from "./turns.ts";

type ForecastDeps = Pick<OpsDeps, "keys" | "views" | "clock" | "timetable">;
type Share = { readonly job: Job; readonly processes: number; readonly meanMs: number };
/** Rules that are due at the same instants. */
type Group = { readonly times: RuleTimes; readonly shares: Share[] };

const MOST_PEAKS = 10;
const JOBS_OF_PEAK = 10;

export async function forecast(deps: ForecastDeps, query: { hours: number }): Promise<ForecastResult> {
  const { views, clock } = deps;
  const turn = createTurns(clock);
  const fromMs = Math.floor(clock.now() / MINUTE_MS) * MINUTE_MS;
  const minutes = query.hours * 60;
  const endMs = fromMs + minutes * MINUTE_MS;
  const groups = await groupRules(deps, turn);
  const load = emptyLoad(fromMs, minutes);
  const jobs = new Set<string>();
  for (const { times, shares } of groups) {
    const ticks: EpochMs[] = [];
    for (let at = times.nextAfter(clock.now() - 1); at !== undefined && at < endMs; at = times.nextAfter(at)) ticks.push(at);
    if (ticks.length === 0) continue;
    for (const { job, processes, meanMs } of shares) {
      jobs.add(job.key);
      addLoad(load, ticks, processes, meanMs);
      await turn();
    }
    await turn();
  }
  const peaks: ForecastResult["peaks"] = [];
  for (const minute of peakMinutes(load.starts, MOST_PEAKS)) {
    const atMs = fromMs + minute * MINUTE_MS;
    peaks.push({ at: toIso(atMs), starts: load.starts[minute] ?? 0, jobs: startsIn(groups, atMs) });
    await turn();
  }
  const online = [...views.nodes.entries()].filter(([, { info }]) => views.alive.get(deps.keys.alive(info.id)) !== undefined);
  return {
    from: toIso(fromMs),
    starts: [...load.starts],
    running: Array.from(load.running, (mean) => Math.round(mean * 1000) / 1000),
    peaks,
    capacity: online.reduce((sum, [, { info }]) => sum + info.capacity, 0),
    jobs: jobs.size,
  };
}

async function groupRules(deps: ForecastDeps, turn: () => Promise<void>): Promise<Group[]> {
  const { views, keys, timetable } = deps;
  const groups = new Map<string, Group>();
  for (const [, { job }] of views.jobs.entries()) {
    if (job.pause) continue;
    const meanMs = views.stats.get(keys.stats(job.group, job.id))?.stats.avgTimeMs ?? 0;
    for (const rule of job.rules) {
      if (rule.timer === undefined) continue;
      const processes = processesOf(deps, job, rule);
      if (processes === 0) continue;
      const window = `${rule.fromMs ?? ""}|${rule.untilMs ?? ""}`;
      const key = `${scheduleKey(ruleScheduleInput(job, rule, rule.timer, timetable.timezone))}|${window}`;
      const group = groups.get(key) ?? { times: timetable.of(job, rule), shares: [] };
      groups.set(key, group);
      group.shares.push({ job, processes, meanMs });
    }
    await turn();
  }
  return [...groups.values()];
}

/** A common job starts on each matching node that takes work, the others on one of them. */
function processesOf({ views, keys }: ForecastDeps, job: Job, rule: Rule): number {
  let count = 0;
  for (const [, { info, labels }] of views.nodes.entries()) {
    if (info.drain !== undefined || views.alive.get(keys.alive(info.id)) === undefined) continue;
    if (matchesTarget(rule.target, { id: info.id, labels })) count += 1;
    if (count > 0 && job.kind !== "common") return 1;
  }
  return count;
}

function startsIn(groups: readonly Group[], atMs: EpochMs): { job: string; starts: number }[] {
  const starts = new Map<string, number>();
  for (const { times, shares } of groups) {
    let ticks = 0;
    for (let at = times.nextAfter(atMs - 1); at !== undefined && at < atMs + MINUTE_MS; at = times.nextAfter(at)) ticks += 1;
    if (ticks === 0) continue;
    for (const { job, processes } of shares) starts.set(job.key, (starts.get(job.key) ?? 0) + ticks * processes);
  }
  return [...starts]
    .map(([job, count]) => ({ job, starts: count }))
    .sort((a, b) => b.starts - a.starts || (a.job < b.job ? -1 : 1))
    .slice(0, JOBS_OF_PEAK);
}
