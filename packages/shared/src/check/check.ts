/**
 * The checker: all that is wrong with a history, in words, sorted. It trusts nothing but the history: due times from the calendar, what processes witnessed,
 * and what the system says of them are compared with each other. In the manner of Jepsen's test of Chronos. Pure; linear in the history but for sorting.
 */
import { type Coverage, coverage } from "./coverage.ts";
import { exclusion } from "./exclusion.ts";
import { byJob, type JobHistory } from "./executions.ts";
import { FINDING_KINDS, type Finding, type History } from "./history.ts";
import { pipelines } from "./pipelines.ts";
import { truth } from "./truth.ts";
import { completeness, type Verdicts } from "./verdicts.ts";

/** What the checks found of one job, for summaries. */
export type JobExamination = {
  readonly job: JobHistory;
  readonly coverage: Coverage;
  readonly verdicts: Verdicts;
  readonly findings: readonly Finding[];
};

/** Everything that is wrong; empty when nothing is. */
export function check(history: History): readonly Finding[] {
  const ofJobs = byJob(history).flatMap((job) => examineJob(job, history.skewMs).findings);
  return sortFindings([...ofJobs, ...(history.pipelines === undefined ? [] : pipelines(history.pipelines))]);
}

/** The same, job by job, with what ran and what was said of each target (summary.ts). */
export function examine(history: History): JobExamination[] {
  return byJob(history).map((job) => examineJob(job, history.skewMs));
}

export function sortFindings<F extends Finding>(findings: readonly F[]): F[] {
  const rank = new Map(FINDING_KINDS.map((kind, at) => [kind, at]));
  return [...findings].sort(
    (a, b) =>
      compare(a.job, b.job) ||
      (a.dueMs ?? 0) - (b.dueMs ?? 0) ||
      (rank.get(a.kind) ?? 0) - (rank.get(b.kind) ?? 0) ||
      compare(a.text, b.text),
  );
}

/** Of one job. */
export function examineJob(job: JobHistory, skewMs = 0): JobExamination {
  const covered = coverage(job);
  const verdicts = completeness(job, covered.ranBy);
  const findings = [...covered.findings, ...(job.isExclusive ? exclusion(job.runs, skewMs) : []), ...truth(job), ...verdicts.findings];
  return { job, coverage: covered, verdicts, findings };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
