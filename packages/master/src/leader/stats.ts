/** The statistics of a job, advanced by one record at a time. Pure; the caller sees to it that each record counts once. */
import { fromIso } from "fleetcron-shared/base/clock";
import type { JobStats } from "fleetcron-shared/model/facts";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";

export const NO_STATS: JobStats = { v: 1, successCount: 0, failureCount: 0, skippedCount: 0, lostCount: 0, avgTimeMs: 0, streak: 0 };

/** The average moves with this weight once so many attempts have run. */
const AVERAGE_OVER = 16;

/** `stats` with `record` counted. Skips count as often as the ticks they cover and leave the streak alone; a failure ends it only when final. */
export function countRecord(stats: JobStats, record: ExecutionRecord): JobStats {
  const next = { ...stats, last: newest(stats.last, record) };
  const { outcome } = record;
  if (!didRun(outcome)) return { ...next, skippedCount: stats.skippedCount + (record.dueCount ?? 1) };
  if (outcome.type === "lost") {
    return { ...next, lostCount: stats.lostCount + 1, streak: record.finalAttempt ? lower(stats.streak) : stats.streak };
  }
  const runs = Math.min(stats.successCount + stats.failureCount + 1, AVERAGE_OVER);
  const away = (record.durationMs ?? 0) - stats.avgTimeMs;
  const deviation = stats.deviationMs ?? 0;
  // The first run has nothing to differ from.
  const deviationMs = runs === 1 ? 0 : deviation + (Math.abs(away) - deviation) / runs;
  const time = { avgTimeMs: stats.avgTimeMs + away / runs, deviationMs };
  if (record.success) return { ...next, ...time, successCount: stats.successCount + 1, streak: Math.max(stats.streak, 0) + 1 };
  return { ...next, ...time, failureCount: stats.failureCount + 1, streak: record.finalAttempt ? lower(stats.streak) : stats.streak };
}

/** `stats` as if the provisional `lost` record had not been counted: its true record is about to be. */
export function uncountProvisional(stats: JobStats, provisional: ExecutionRecord): JobStats {
  const { last, ...rest } = stats;
  const streak = provisional.finalAttempt && stats.streak < 0 ? stats.streak + 1 : stats.streak;
  const next = { ...rest, lostCount: Math.max(0, stats.lostCount - 1), streak };
  return last === undefined || last.record === provisional.id ? next : { ...next, last };
}

/** `stats` with a verdict of the auditor in place of the one before; either may be undefined. The result that ended last may be unknown afterwards. */
export function recountMissed(stats: JobStats, before: ExecutionRecord | undefined, after: ExecutionRecord | undefined): JobStats {
  const { last, ...rest } = stats;
  const count = (record: ExecutionRecord | undefined) => (record === undefined ? 0 : (record.dueCount ?? 1));
  const kept = last?.record === before?.id ? undefined : last;
  const newestOf = after === undefined ? kept : newest(kept, after);
  const until = [stats.missedUntil, after?.dueUntil ?? after?.dueAt].filter((time) => time !== undefined).sort();
  return {
    ...rest,
    skippedCount: Math.max(0, stats.skippedCount + count(after) - count(before)),
    ...(newestOf === undefined ? {} : { last: newestOf }),
    ...(until.length === 0 ? {} : { missedUntil: until.at(-1) ?? "" }),
  };
}

function lower(streak: number): number {
  return Math.min(streak, 0) - 1;
}

/** The result that ended last, whenever it was filed: late deliveries do not hide newer results. */
export function newest(last: JobStats["last"], record: ExecutionRecord): NonNullable<JobStats["last"]> {
  if (last !== undefined && (fromIso(last.endTime) ?? 0) > (fromIso(record.endTime) ?? 0)) return last;
  return {
    record: record.id,
    success: record.success,
    outcome: outcomeWord(record.outcome),
    endTime: record.endTime,
    nodeId: record.nodeId,
  };
}
