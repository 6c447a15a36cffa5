/**
 * Does each run have exactly one record with its own end, and each record that says it ran its run? A provisional record is the undertaker's guess and no
 * truth; of what is `lost` there may be a run or none; a process that was killed may not have come so far as to leave anything. Pure.
 */
import { isOf, type JobHistory } from "./executions.ts";
import type { Finding, Run, Target, Verdict } from "./history.ts";
import { ofJob, runWords, tickWords } from "./words.ts";

type TruthHistory = Pick<JobHistory, "targets" | "runs" | "verdicts" | "isPending">;

/** Of one job. */
export function truth({ targets, runs, verdicts, isPending }: TruthHistory): Finding[] {
  const told = byExecution(verdicts);
  const witnessed = byExecution(runs);
  let waiting: readonly Target[] | undefined;
  const mayFollow = (run: Run) => {
    waiting ??= targets.filter(isPending);
    return waiting.some((target) => target.dueMs === run.dueMs && isOf(target, run));
  };
  const findings: Finding[] = [];
  for (const [execution, own] of witnessed) {
    const records = told.get(execution) ?? [];
    own.forEach((run, at) => {
      // An attempt that ran twice is told as a duplicate; the first is compared.
      if (at > 0 && own.findIndex(({ attempt }) => attempt === run.attempt) < at) return;
      findings.push(...ofRun(run, records, mayFollow));
    });
  }
  for (const [execution, records] of told) {
    const own = witnessed.get(execution) ?? [];
    for (const [at, record] of records.entries()) {
      if (record.provisional || !record.ran || !isWhole(record) || own.some(({ attempt }) => attempt === record.attempt)) continue;
      if (records.findIndex((other) => other.attempt === record.attempt && !other.provisional) < at) continue;
      const text = `a record says ${record.outcome}, and nothing ran: execution ${execution}, attempt ${record.attempt}, on ${record.node}`;
      findings.push(ofJob("contradiction", record, `${text}${about(record)}`));
    }
  }
  return findings;
}

function byExecution<T extends { readonly execution: string }>(list: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const one of list) {
    const held = found.get(one.execution);
    if (held === undefined) found.set(one.execution, [one]);
    else held.push(one);
  }
  return found;
}

function ofRun(run: Run, records: readonly Verdict[], mayFollow: (run: Run) => boolean): Finding[] {
  const findings: Finding[] = [];
  let count = 0;
  for (const record of records) {
    if (record.provisional || record.attempt !== run.attempt) continue;
    count += 1;
    findings.push(...compare(run, record));
  }
  if (count === 0 && !mayFollow(run)) findings.push(ofJob("untold", run, `a run has no record: ${whole(run)}`));
  // Of ticks verdicts.ts counts them.
  if (count > 1 && run.dueMs === undefined) findings.push(ofJob("doubleVerdict", run, `a run has ${count} records: ${whole(run)}`));
  return findings;
}

function compare(run: Run, record: Verdict): Finding[] {
  if (!record.ran) return [ofJob("contradiction", run, `a record says ${record.outcome}, and it ran: ${whole(run)}`)];
  if (run.node !== record.node) return [ofJob("untrue", run, `a record names node ${record.node}: ${whole(run)}`)];
  if (record.outcome.startsWith("lost:") || record.exitCode === undefined) return [];
  if (run.exitCode !== undefined && run.exitCode !== record.exitCode)
    return [ofJob("untrue", run, `a record says exit code ${record.exitCode}, and it was ${run.exitCode}: ${whole(run)}`)];
  if (record.exitCode === 0 && run.endMs === undefined)
    return [ofJob("untrue", run, `a record says exit code 0, and it never came to its end: ${whole(run)}`)];
  return [];
}

/** It came to an end of its own, so it has left everything that it leaves. */
function isWhole({ exitCode }: Verdict): boolean {
  return exitCode !== undefined;
}

function whole(run: Run): string {
  return `${runWords(run)}${about(run)}`;
}

function about({ dueMs, rule }: { readonly dueMs?: number; readonly rule?: string }): string {
  return dueMs === undefined ? "" : `, for ${tickWords({ dueMs, rule })}`;
}
