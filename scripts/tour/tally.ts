/**
 * Counts, independently of the agents, what a job owed in a span of time and what its records say: due ticks come from the schedule, runs
 * from the records. A tick that has neither a run nor a verdict is missing; one with two runs where one was owed is a duplicate.
 */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import { compileSchedule } from "fleetcron-shared/model/calendar/schedule";
import { ticksBetween } from "fleetcron-shared/model/calendar/ticks";
import type { Job, Rule } from "fleetcron-shared/model/job";
import { didRun, type ExecutionRecord } from "fleetcron-shared/model/record";
import { matchesTarget, type TargetNode } from "fleetcron-shared/model/target";

/** One line of the closing table. `worstSkewMs` is undefined when nothing ran. */
export type Tally = {
  readonly job: string;
  readonly kind: string;
  readonly due: number;
  readonly fired: number;
  readonly skipped: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly worstSkewMs: number | undefined;
};

export type Span = { readonly fromMs: EpochMs; readonly untilMs: EpochMs; readonly timezone: string };

/** The most ticks that one rule is counted for. */
const MAX_TICKS = 10_000;

/** What `job` owed to `nodes` within the span (both ends included), held against its records. */
export function tally(job: Job, nodes: readonly TargetNode[], records: readonly ExecutionRecord[], span: Span): Tally {
  const own = records.filter((record) => record.jobGroup === job.group && record.jobId === job.id && record.dueAt !== undefined);
  const sum = { due: 0, fired: 0, skipped: 0, missing: 0, duplicates: 0 };
  let worstSkewMs: number | undefined;
  for (const rule of job.rules) {
    const places = nodes.filter((node) => matchesTarget(rule.target, node)).map((node) => node.id);
    const owed = job.kind === "common" ? places.map((node) => [node]) : places.length === 0 ? [] : [places];
    for (const dueMs of dueTicks(job, rule, span)) {
      for (const owners of owed) {
        const answers = own.filter((record) => record.ruleId === rule.id && owners.includes(record.nodeId) && covers(record, dueMs));
        const runs = answers.filter((record) => didRun(record.outcome) && record.attempt === 1);
        sum.due++;
        if (runs.length > 0) sum.fired++;
        else if (answers.length > 0) sum.skipped++;
        else sum.missing++;
        sum.duplicates += Math.max(0, runs.length - 1);
        for (const run of runs) if (run.skewMs !== undefined) worstSkewMs = Math.max(worstSkewMs ?? run.skewMs, run.skewMs);
      }
    }
  }
  return { job: job.key, kind: job.kind, ...sum, worstSkewMs };
}

/** The due times of a rule: by its timer, or the one of the submission. `@startup` has none that can be foreseen. */
function dueTicks(job: Job, rule: Rule, span: Span): readonly EpochMs[] {
  if (rule.timer === undefined) return [job.submittedAtMs];
  const { timer, dstGap, dstFold } = rule;
  const schedule = compileSchedule({
    timer,
    timezone: rule.timezone ?? span.timezone,
    hashSeed: job.key,
    anchorMs: job.createdAtMs,
    dstGap,
    dstFold,
  });
  const fromMs = Math.max(span.fromMs, rule.fromMs ?? span.fromMs);
  const untilMs = Math.min(span.untilMs, rule.untilMs ?? span.untilMs);
  return ticksBetween(schedule, fromMs - 1, untilMs, MAX_TICKS);
}

/** Whether a record speaks about this tick: its own, or one in the range of a verdict about many. */
function covers(record: ExecutionRecord, dueMs: EpochMs): boolean {
  if (record.dueUntil === undefined) return record.dueAt === toIso(dueMs);
  return (fromIso(record.dueAt ?? "") ?? Number.POSITIVE_INFINITY) <= dueMs && dueMs <= (fromIso(record.dueUntil) ?? 0);
}
