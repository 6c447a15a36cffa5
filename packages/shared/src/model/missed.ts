/**
 * The auditor's verdicts: records `missed:<reason>` for ticks that nobody has reported. They are provisional: what a node reports of such a tick later takes
 * its place. One covers consecutive ticks of one rule (and, of a `common` job, one node). Pure.
 */
import { type EpochMs, fromIso, toIso } from "../base/clock.ts";
import { stableId } from "../base/stable-id.ts";
import type { Job } from "./job.ts";
import type { ExecutionRecord, MissReason } from "./record.ts";

/** In place of a node's id: the verdict is of no node in particular. No node can be called so. */
export const NO_NODE = "-";
/** One record covers no longer a span, so that whoever looks for a tick knows how far back to look. */
export const MAX_SPAN_MS = 86_400_000;

const MARK = ".missed";
const ID_END = `${MARK}-1`;

/** Whether a record (by its id) is a verdict of the auditor. */
export function isAuditRecord(id: string): boolean {
  return id.endsWith(ID_END);
}

/** It covers nothing any more: it stands for a moment in place of a verdict that is taken back, so that whoever has a copy drops it. */
export function isVoid(record: Pick<ExecutionRecord, "id" | "dueCount">): boolean {
  return record.dueCount === 0 && isAuditRecord(record.id);
}

/** Consecutive ticks with one verdict. */
export type MissedRange = {
  readonly ruleId: string;
  readonly node: string;
  readonly reason: MissReason;
  readonly firstMs: EpochMs;
  readonly lastMs: EpochMs;
  readonly count: number;
};

type Named = Pick<Job, "key" | "group" | "id" | "name" | "revision">;

/** The record of a range. Its id is made of the first tick, so that whoever finds the same makes the same. `id`: keeps that of the record that it goes on from. */
export function missedRecord(
  job: Named,
  range: MissedRange,
  known: { readonly endMs: EpochMs; readonly hostname: string; readonly id?: string | undefined },
): ExecutionRecord {
  const { ruleId, node, reason, firstMs, lastMs, count } = range;
  const id = known.id ?? `${stableId(firstMs, "missed", job.key, ruleId, node, reason, String(job.revision))}${ID_END}`;
  return {
    v: 1,
    id,
    execution: id.slice(0, -2),
    jobGroup: job.group,
    jobId: job.id,
    jobRevision: job.revision,
    ruleId,
    dueAt: toIso(firstMs),
    ...(count === 1 ? {} : { dueUntil: toIso(lastMs), dueCount: count }),
    attempt: 1,
    finalAttempt: true,
    nodeId: node,
    hostname: known.hostname,
    name: job.name,
    endTime: toIso(known.endMs),
    success: false,
    outcome: { type: "missed", reason },
    provisional: true,
    isHandled: true,
    handleTime: toIso(known.endMs),
  };
}

/** The range of such a record; undefined for other records and for void ones. */
export function rangeOfRecord(record: ExecutionRecord): MissedRange | undefined {
  const firstMs = fromIso(record.dueAt ?? "");
  if (!isAuditRecord(record.id) || isVoid(record) || firstMs === undefined || record.ruleId === undefined) return undefined;
  if (record.outcome.type !== "missed") return undefined;
  const lastMs = fromIso(record.dueUntil ?? "") ?? firstMs;
  return { ruleId: record.ruleId, node: record.nodeId, reason: record.outcome.reason, firstMs, lastMs, count: record.dueCount ?? 1 };
}

/** What a record says of ticks: its rule, its node, the first and the last of them. Undefined: of none, or it belongs to another record. */
export type TickSpan = { readonly ruleId: string; readonly node: string; readonly firstMs: EpochMs; readonly lastMs: EpochMs };
export function spanOf(record: ExecutionRecord): TickSpan | undefined {
  const firstMs = fromIso(record.dueAt ?? "");
  if (firstMs === undefined || record.ruleId === undefined || record.partOf !== undefined || isVoid(record)) return undefined;
  return { ruleId: record.ruleId, node: record.nodeId, firstMs, lastMs: fromIso(record.dueUntil ?? "") ?? firstMs };
}
