/** What the fleet says of its ticks and attempts: filed records, and those that wait to be filed, as verdicts. */
import { scan, scanPrefix } from "fleetcron/ops/scan";
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import { firstIdAt } from "fleetcron-shared/base/ids";
import type { Verdict } from "fleetcron-shared/check/history";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { type Kv, prefixEnd } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";

export type Told = Verdict & {
  /** The key of the record. */
  readonly id: string;
  /** When it was written, by the clock of its node. */
  readonly toldMs: number;
  readonly filed: boolean;
  readonly orderId?: string;
  readonly detail: string;
};

/** All of them. */
export async function readRecords(kv: Kv, keys: Keys): Promise<Told[]> {
  const told: Told[] = [];
  for (const prefix of [`${keys.prefix}/records/`, keys.inbox]) {
    for await (const { value } of scanPrefix(kv, prefix)) take(told, value);
  }
  return told;
}

/** Those of these jobs whose executions were made since then, and all in the inbox: much less to read. */
export async function readNewRecords(kv: Kv, keys: Keys, jobs: readonly string[], sinceMs: EpochMs): Promise<Told[]> {
  const told: Told[] = [];
  for (const job of jobs) {
    const [group = "", id = ""] = job.split("/");
    const prefix = keys.recordsOf(group, id);
    for await (const { value } of scan(kv, { start: prefix + firstIdAt(sinceMs), end: prefixEnd(prefix) })) take(told, value);
  }
  for await (const { value } of scanPrefix(kv, keys.inbox)) take(told, value);
  return told;
}

function take(told: Told[], value: string): void {
  const record = JSON.parse(value) as ExecutionRecord;
  // A verdict that the auditor has taken back stands for no tick until it is deleted.
  if (record.dueCount !== 0) told.push(toldBy(record));
}

export function toldBy(record: ExecutionRecord): Told {
  const { outcome, dueAt, dueUntil, ruleId, beginTime, endTime, orderId } = record;
  const dueMs = fromIso(dueAt ?? "");
  const dueUntilMs = fromIso(dueUntil ?? "");
  const beginMs = fromIso(beginTime ?? "");
  const toldMs = fromIso(endTime) ?? 0;
  const detail = outcome.type === "killed" ? `${outcome.by}: ${outcome.reason}` : outcome.type === "skipped" ? (outcome.detail ?? "") : "";
  return {
    ...{
      id: record.id,
      job: `${record.jobGroup}/${record.jobId}`,
      node: record.nodeId,
      execution: record.execution,
      attempt: record.attempt,
    },
    ...{ final: record.finalAttempt, provisional: record.provisional === true, outcome: outcomeWord(outcome), ran: didRun(outcome) },
    ...{ toldMs, filed: record.isHandled, detail },
    ...(ruleId === undefined ? {} : { rule: ruleId }),
    ...(dueMs === undefined ? {} : { dueMs }),
    ...(dueUntilMs === undefined ? {} : { dueUntilMs }),
    ...(outcome.type === "exit" ? { exitCode: outcome.code } : {}),
    ...(beginMs === undefined ? {} : { beginMs, endMs: toldMs }),
    ...(orderId === undefined ? {} : { orderId }),
  };
}
