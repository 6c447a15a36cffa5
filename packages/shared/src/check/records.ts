/** Filed records in the words of the checker. Pure. */
import { fromIso } from "../base/clock.ts";
import { didRun, type ExecutionRecord, outcomeWord } from "../model/record.ts";
import type { Run, Verdict } from "./history.ts";

/** What a record says. Not for one of several hosts (`partOf`): its whole has a record of its own. */
export function verdictOf(record: ExecutionRecord): Verdict {
  const { ruleId, outcome } = record;
  const dueMs = fromIso(record.dueAt ?? "");
  const dueUntilMs = fromIso(record.dueUntil ?? "");
  const beginMs = fromIso(record.beginTime ?? "");
  const endMs = fromIso(record.endTime);
  return {
    job: `${record.jobGroup}/${record.jobId}`,
    ...(ruleId === undefined ? {} : { rule: ruleId }),
    ...(dueMs === undefined ? {} : { dueMs }),
    ...(dueUntilMs === undefined ? {} : { dueUntilMs }),
    node: record.nodeId,
    execution: record.execution,
    attempt: record.attempt,
    final: record.finalAttempt,
    provisional: record.provisional === true,
    outcome: outcomeWord(outcome),
    ran: didRun(outcome),
    ...(outcome.type === "exit" ? { exitCode: outcome.code } : {}),
    ...(beginMs === undefined ? {} : { beginMs }),
    ...(endMs === undefined ? {} : { endMs }),
  };
}

/** Where there is no better witness: the run that a record tells of. Undefined: it does not say that anything began. */
export function runOf(record: ExecutionRecord): Run | undefined {
  const { beginMs, endMs, exitCode, outcome, ran, job, rule, dueMs, node, execution, attempt, provisional } = verdictOf(record);
  if (!ran || beginMs === undefined || provisional) return undefined;
  // The end of a lost one is when it was found lost.
  const isEndKnown = endMs !== undefined && !outcome.startsWith("lost:");
  return {
    job,
    ...(rule === undefined ? {} : { rule }),
    ...(dueMs === undefined ? { ordered: true } : { dueMs }),
    ...{ node, execution, attempt, beginMs },
    ...(isEndKnown ? { endMs: Math.max(beginMs, endMs) } : {}),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(record.fence === undefined ? {} : { fence: record.fence }),
  };
}
