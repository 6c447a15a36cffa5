/** A record without its output and result: what lists show, and what the event `record` carries. Pure. */
import { type ExecutionRecord, outcomeWord } from "./record.ts";

export type RecordSummary = Pick<ExecutionRecord, "id" | "execution" | "attempt" | "finalAttempt" | "success" | "endTime"> & {
  readonly group: string;
  readonly job: string;
  readonly node: string;
  readonly outcome: string;
} & Pick<ExecutionRecord, "ruleId" | "dueAt" | "orderId" | "runId" | "taskId" | "host" | "partOf" | "beginTime" | "durationMs">;

export function summaryOf(record: ExecutionRecord): RecordSummary {
  const { id, execution, attempt, finalAttempt, success, endTime } = record;
  const { ruleId, dueAt, orderId, runId, taskId, host, partOf, beginTime, durationMs } = record;
  return {
    ...{ id, execution, group: record.jobGroup, job: record.jobId, node: record.nodeId, attempt, finalAttempt, success },
    outcome: outcomeWord(record.outcome),
    ...(ruleId === undefined ? {} : { ruleId }),
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(orderId === undefined ? {} : { orderId }),
    ...(runId === undefined ? {} : { runId }),
    ...(taskId === undefined ? {} : { taskId }),
    ...(host === undefined ? {} : { host }),
    ...(partOf === undefined ? {} : { partOf }),
    ...(beginTime === undefined ? {} : { beginTime }),
    endTime,
    ...(durationMs === undefined ? {} : { durationMs }),
  };
}
