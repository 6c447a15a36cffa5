/** What became of the due ticks of a job: its rules say which there were, its records and processes what happened. */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import type { Job } from "fleetcron-shared/model/job";
import { didRun, type ExecutionRecord } from "fleetcron-shared/model/record";
import type { TickVerdict, VerdictsResult } from "../http/timeline-schema.ts";
import type { JobEntry } from "../views.ts";
import { auditRecordsOver, withoutStale } from "./audit-records.ts";
import { procsOf } from "./list-executions.ts";
import { listRecords } from "./list-records.ts";
import type { OpsDeps } from "./ops-deps.ts";

type VerdictDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "timetable" | "archive" | "caller">;
type Query = { readonly since?: string | undefined; readonly until?: string | undefined; readonly limit: number };
export type Tick = { readonly rule: string; readonly dueMs: EpochMs };

const DAYS_30 = 30 * 86_400_000;
/** An execution may bear an earlier time than its tick: clocks of nodes differ. */
const CLOCK_TOLERANCE_MS = 60_000;
/** So long a verdict may be on its way. */
const UNDER_WAY_MS = 10_000;
const PAGE = 500;
const MAX_RECORDS = 10_000;

export async function verdicts(deps: VerdictDeps, entry: JobEntry, query: Query): Promise<VerdictsResult> {
  const { job } = entry;
  const nowMs = deps.clock.now();
  const untilMs = (query.until === undefined ? undefined : fromIso(query.until)) ?? nowMs;
  const asked = (query.since === undefined ? undefined : fromIso(query.since)) ?? untilMs - DAYS_30;
  const sinceMs = Math.max(asked, job.createdAtMs);
  const ticks = ticksBefore(deps, job, { sinceMs, untilMs, limit: query.limit });
  const firstMs = ticks.length === query.limit ? (ticks.at(-1)?.dueMs ?? sinceMs) : sinceMs;
  const records = ticks.length === 0 ? [] : await recordsSince(deps, job, firstMs);
  const running = procsOf(deps, { job: job.key }).flatMap(({ proc }) =>
    proc.dueAt === undefined ? [] : [{ key: tickKey(proc.ruleId ?? "", fromIso(proc.dueAt) ?? 0), execution: proc.execution }],
  );
  return { since: toIso(Math.min(firstMs, untilMs)), until: toIso(untilMs), ticks: judge(ticks, records, running, nowMs) };
}

/** The newest ticks of all rules in [since, until), newest first. */
function ticksBefore(deps: Pick<OpsDeps, "timetable">, job: Job, range: { sinceMs: EpochMs; untilMs: EpochMs; limit: number }): Tick[] {
  const ticks = job.rules.flatMap((rule) => {
    const times = deps.timetable.of(job, rule);
    const found: Tick[] = [];
    for (let at = times.lastAtOrBefore(range.untilMs - 1); at !== undefined && at >= range.sinceMs; at = times.lastAtOrBefore(at - 1)) {
      found.push({ rule: rule.id, dueMs: at });
      if (found.length >= range.limit) break;
    }
    return found;
  });
  return ticks.sort((a, b) => b.dueMs - a.dueMs || (a.rule < b.rule ? -1 : 1)).slice(0, range.limit);
}

async function recordsSince(deps: VerdictDeps, job: Job, sinceMs: EpochMs): Promise<ExecutionRecord[]> {
  const records: ExecutionRecord[] = [];
  let cursor: string | undefined;
  const over = await auditRecordsOver(deps, job, sinceMs);
  do {
    const page = await listRecords(deps, { job: job.key, since: toIso(Math.max(0, sinceMs - CLOCK_TOLERANCE_MS)), limit: PAGE, cursor });
    records.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined && records.length < MAX_RECORDS);
  const listed = new Set(records.map(({ id }) => id));
  return [...records, ...over.filter(({ id }) => !listed.has(id))];
}

function tickKey(rule: string, dueMs: EpochMs): string {
  return `${rule} ${dueMs}`;
}

/** Pure. Of each execution its newest attempt counts; a record of a range counts for each of its ticks. */
export function judge(
  ticks: readonly Tick[],
  records: readonly ExecutionRecord[],
  running: readonly { readonly key: string; readonly execution: string }[],
  nowMs: EpochMs,
): TickVerdict[] {
  const ofTick = new Map<string, Map<string, ExecutionRecord>>();
  const keyedTicks = new Map(ticks.map(({ rule, dueMs }) => [tickKey(rule, dueMs), dueMs]));
  const note = (key: string, record: ExecutionRecord) => {
    if (!keyedTicks.has(key)) return;
    const held = ofTick.get(key) ?? new Map<string, ExecutionRecord>();
    ofTick.set(key, held);
    if ((held.get(record.execution)?.attempt ?? 0) < record.attempt) held.set(record.execution, record);
  };
  for (const record of records) {
    const dueMs = fromIso(record.dueAt ?? "");
    // An execution on one of several hosts belongs to another one, which has its own record.
    if (dueMs === undefined || record.ruleId === undefined || record.partOf !== undefined) continue;
    const lastMs = fromIso(record.dueUntil ?? "");
    if (lastMs === undefined) note(tickKey(record.ruleId, dueMs), record);
    else {
      for (const { rule, dueMs: at } of ticks) {
        if (rule === record.ruleId && at >= dueMs && at <= lastMs) note(tickKey(rule, at), record);
      }
    }
  }
  const runningBy = new Map(running.map(({ key, execution }) => [key, execution]));
  return ticks.map(({ rule, dueMs }) => {
    const key = tickKey(rule, dueMs);
    const found = withoutStale([...(ofTick.get(key)?.values() ?? [])]).sort((a, b) => (a.id < b.id ? -1 : 1));
    return { dueAt: toIso(dueMs), rule, ...conclude(found, runningBy.get(key), nowMs - dueMs) };
  });
}

function conclude(
  records: readonly ExecutionRecord[],
  running: string | undefined,
  ageMs: number,
): Pick<TickVerdict, "verdict" | "counts" | "execution"> {
  const of = {
    success: records.filter(({ success }) => success),
    failure: records.filter(({ success, outcome, finalAttempt }) => !success && didRun(outcome) && outcome.type !== "lost" && finalAttempt),
    lost: records.filter(({ outcome }) => outcome.type === "lost"),
    missed: records.filter(({ outcome }) => outcome.type === "missed"),
    skipped: records.filter(({ outcome }) => outcome.type === "skipped"),
  };
  const counts = {
    success: of.success.length,
    failure: of.failure.length,
    skipped: of.skipped.length,
    missed: of.missed.length,
    lost: of.lost.length,
  };
  const isRetried = records.some(({ success, outcome, finalAttempt }) => !success && didRun(outcome) && !finalAttempt);
  const first = (["failure", "lost", "success", "missed", "skipped"] as const).find((kind) => of[kind].length > 0);
  if (of.failure.length === 0 && (running !== undefined || isRetried)) {
    const execution = running ?? records.at(-1)?.execution;
    return { verdict: "running", counts, ...(execution === undefined ? {} : { execution }) };
  }
  if (first === undefined) return { verdict: ageMs < UNDER_WAY_MS ? "pending" : "none", counts };
  const execution = of[first].at(-1)?.execution;
  return { verdict: first, counts, ...(execution === undefined ? {} : { execution }) };
}
