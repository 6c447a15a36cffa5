/**
 * What has been filed, kept until the ticks that it is of are looked at: so that a tick with a record costs no read. Ticks that were looked at before are handed
 * over as late. Counts what runs twice or late. Pure but for what it holds.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { spanOf, type TickSpan } from "fleetcron-shared/model/missed";
import { didRun, type ExecutionRecord } from "fleetcron-shared/model/record";
import { toKey } from "../job-ref.ts";
import type { Observe } from "../observe.ts";
import type { AuditBook } from "./audit-book.ts";

/** A first attempt that begins so long after its time, beyond the rule's jitter, is late. */
export const LATE_MS = 5000;
/** Executions of cluster-wide ticks that are remembered to find a second one. */
const REMEMBERED_RUNS = 50_000;
/** What nobody has asked for is dropped after so long. */
const KEEP_MS = 2 * 3_600_000;

type Noted = { readonly nodes: Set<string>; readonly notedMs: EpochMs };

export type AuditNotes = {
  /** Takes in records that were filed now; returns those of ticks that were looked at before, by job. */
  take(records: readonly ExecutionRecord[], nowMs: EpochMs): Map<JobKey, TickSpan[]>;
  /** Takes in what was filed before this term. */
  learn(key: JobKey, spans: readonly TickSpan[], nowMs: EpochMs): void;
  /** Whether a record of the tick was filed: of that node, or (undefined) of any. */
  has(key: JobKey, ruleId: string, dueMs: EpochMs, node: string | undefined): boolean;
  /** The tick has been looked at. */
  drop(key: JobKey, ruleId: string, dueMs: EpochMs): void;
  prune(nowMs: EpochMs): void;
  readonly size: number;
};

export function createAuditNotes(deps: { book: AuditBook; observe: Pick<Observe, "duplicate" | "late"> | undefined }): AuditNotes {
  const ticks = new Map<string, Noted>();
  const ranges = new Map<JobKey, { readonly span: TickSpan; readonly notedMs: EpochMs }[]>();
  const runs = new Map<string, string>();

  function count(record: ExecutionRecord, span: TickSpan): void {
    if (!didRun(record.outcome) || record.outcome.type === "lost" || record.orderId !== undefined || record.attempt > 1) return;
    const key = toKey({ group: record.jobGroup, id: record.jobId });
    const of = deps.book.ruleOf(key, span.ruleId);
    if (record.skewMs !== undefined && record.skewMs > LATE_MS + (of?.rule.jitterMs ?? 0)) deps.observe?.late();
    if (of === undefined || of.job.kind === "common") return;
    const tick = tickKey(key, span.ruleId, span.firstMs);
    const other = runs.get(tick);
    if (other !== undefined && other !== record.execution) deps.observe?.duplicate();
    runs.delete(tick);
    runs.set(tick, record.execution);
    if (runs.size <= REMEMBERED_RUNS) return;
    const [oldest] = runs.keys();
    if (oldest !== undefined) runs.delete(oldest);
  }

  function note(key: JobKey, span: TickSpan, nowMs: EpochMs): void {
    if (deps.book.hasPassed(key, span.ruleId, span.lastMs) && !deps.book.isOfOldForm(key, span.lastMs)) return;
    if (span.lastMs > span.firstMs) {
      ranges.set(key, [...(ranges.get(key) ?? []), { span, notedMs: nowMs }]);
      return;
    }
    const tick = tickKey(key, span.ruleId, span.firstMs);
    const noted = ticks.get(tick) ?? { nodes: new Set(), notedMs: nowMs };
    noted.nodes.add(span.node);
    ticks.set(tick, noted);
  }

  return {
    take(records, nowMs) {
      const late = new Map<JobKey, TickSpan[]>();
      for (const record of records) {
        const span = spanOf(record);
        if (span === undefined) continue;
        const key = toKey({ group: record.jobGroup, id: record.jobId });
        count(record, span);
        note(key, span, nowMs);
        if (deps.book.hasPassed(key, span.ruleId, span.firstMs)) late.set(key, [...(late.get(key) ?? []), span]);
      }
      return late;
    },
    learn(key, spans, nowMs) {
      for (const span of spans) note(key, span, nowMs);
    },
    has(key, ruleId, dueMs, node) {
      const noted = ticks.get(tickKey(key, ruleId, dueMs));
      if (noted !== undefined && (node === undefined || noted.nodes.has(node))) return true;
      return (ranges.get(key) ?? []).some(
        ({ span }) => span.ruleId === ruleId && span.firstMs <= dueMs && span.lastMs >= dueMs && (node === undefined || node === span.node),
      );
    },
    drop: (key, ruleId, dueMs) => void ticks.delete(tickKey(key, ruleId, dueMs)),
    prune(nowMs) {
      for (const [tick, { notedMs }] of ticks) {
        // In the order in which they were noted.
        if (notedMs > nowMs - KEEP_MS) break;
        ticks.delete(tick);
      }
      for (const [key, spans] of ranges) {
        const kept = spans.filter(({ notedMs }) => notedMs > nowMs - KEEP_MS);
        if (kept.length === 0) ranges.delete(key);
        else ranges.set(key, kept);
      }
    },
    get size() {
      return ticks.size;
    },
  };
}

function tickKey(key: JobKey, ruleId: string, dueMs: EpochMs): string {
  return `${key}/${ruleId}/${dueMs}`;
}
