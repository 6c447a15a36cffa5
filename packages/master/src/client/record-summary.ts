/** A record without its output and result: what lists show, and what the event `record` carries. */
import { outcomeWord } from "fleetcron-shared/model/record";
import type { RecordView } from "../http/api-schema.ts";
import type { RecordSummary } from "../http/event-schema.ts";

export function summaryOf(record: RecordView): RecordSummary {
  const { id, execution, attempt, finalAttempt, success, ruleId, dueAt, orderId, runId, taskId, beginTime, endTime, durationMs } = record;
  return {
    ...{ id, execution, group: record.jobGroup, job: record.jobId, node: record.nodeId, attempt, finalAttempt, success },
    outcome: outcomeWord(record.outcome),
    ...(ruleId === undefined ? {} : { ruleId }),
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(orderId === undefined ? {} : { orderId }),
    ...(runId === undefined ? {} : { runId }),
    ...(taskId === undefined ? {} : { taskId }),
    ...(beginTime === undefined ? {} : { beginTime }),
    endTime,
    ...(durationMs === undefined ? {} : { durationMs }),
  };
}
