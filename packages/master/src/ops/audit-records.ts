/** The auditor's verdicts for whoever asks about ticks: one covers a range, and its id is that of the first tick. */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { firstIdAt } from "fleetcron-shared/base/ids";
import type { Job } from "fleetcron-shared/model/job";
import { isAuditRecord, isVoid, MAX_SPAN_MS, NO_NODE } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";
import { scan } from "./scan.ts";

/** Those in etcd that begin before `ms` and may reach beyond. */
export async function auditRecordsOver(
  deps: Pick<OpsDeps, "kv" | "keys">,
  job: Pick<Job, "group" | "id">,
  ms: EpochMs,
): Promise<ExecutionRecord[]> {
  const prefix = deps.keys.recordsOf(job.group, job.id);
  const range = { start: prefix + firstIdAt(ms - MAX_SPAN_MS), end: prefix + firstIdAt(ms + 1), keysOnly: true };
  const own: string[] = [];
  for await (const { key } of scan(deps.kv, range)) if (isAuditRecord(key)) own.push(key);
  const found = await readKeys(deps.kv, own);
  return [...found].flatMap(([key, entry]) => {
    const record = entry === undefined ? undefined : tryDecode<ExecutionRecord>(key, entry.value);
    return record === undefined || isVoid(record) ? [] : [record];
  });
}

/** Of the records of one tick: a verdict of the auditor says nothing any more where a node has reported, even if it has not been taken back yet. Pure. */
export function withoutStale(records: readonly ExecutionRecord[]): ExecutionRecord[] {
  const reported = records.filter(({ id }) => !isAuditRecord(id));
  return records.filter(
    ({ id, nodeId }) =>
      !isAuditRecord(id) || !(nodeId === NO_NODE ? reported.length > 0 : reported.some((other) => other.nodeId === nodeId)),
  );
}
