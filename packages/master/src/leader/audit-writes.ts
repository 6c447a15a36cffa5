/**
 * What writing verdicts of the auditor means: records, the job's statistics, and what is to be told, in one transaction for a job. Each record as it was known
 * and the statistics as read, so what somebody else has changed meanwhile refuses it. Pure.
 */
import { toIso } from "fleetcron-shared/base/clock";
import type { JobStats } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { type MissedRange, missedRecord, NO_NODE } from "fleetcron-shared/model/missed";
import type { Notice } from "fleetcron-shared/model/notice";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { absent, type Compare, type KeyValue, type Op, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { noticesOfRecord } from "../notify/notices.ts";
import { statsEntry } from "../views.ts";
import type { HeldRange, Slot } from "./audit-trouble.ts";
import { NO_STATS, recountMissed } from "./stats.ts";

export type AuditWrite = {
  readonly if: readonly Compare[];
  readonly then: readonly Op[];
  /** Those that stand there afterwards. */
  readonly records: readonly { readonly slot: Slot; readonly record: ExecutionRecord }[];
  /** Keys of records that cover nothing any more, to be deleted once that is written. */
  readonly voids: readonly string[];
};
export type WriteFacts = {
  readonly nowMs: number;
  readonly stats: KeyValue | undefined;
  /** The result that ended last among those that stay; asked for when the one that counted so goes. */
  readonly newest: ExecutionRecord | undefined;
  hostname(node: string): string;
  /** Whether somebody is to be told of a new range. */
  isNews(range: MissedRange, slot: Slot): boolean;
};

export function planAuditWrite(keys: Keys, job: Job, slots: readonly Slot[], facts: WriteFacts): AuditWrite {
  const { nowMs } = facts;
  const statsKey = keys.stats(job.group, job.id);
  const compares: Compare[] = [facts.stats === undefined ? absent(statsKey) : unchanged(statsKey, facts.stats.modRevision)];
  const then: Op[] = [];
  const records: { slot: Slot; record: ExecutionRecord }[] = [];
  const voids: string[] = [];
  const news: ExecutionRecord[] = [];
  const before = facts.stats === undefined ? NO_STATS : statsEntry(facts.stats).stats;
  let stats = before;
  for (const slot of slots) {
    const { held, range } = slot;
    const record = range === undefined ? undefined : recordOf(job, slot, range, facts);
    const shown = record ?? (held === undefined ? undefined : voidOf(held, nowMs));
    if (shown === undefined) continue;
    const key = keys.record(job.group, job.id, shown.id);
    compares.push(held === undefined ? absent(key) : unchanged(key, held.revision));
    then.push({ op: "put", key, value: encode(shown) });
    stats = recountMissed(stats, held?.record, record);
    if (record === undefined || range === undefined) voids.push(key);
    else {
      records.push({ slot, record });
      if (held === undefined && facts.isNews(range, slot)) news.push(record);
    }
  }
  if (stats.last === undefined && facts.newest !== undefined) stats = lastOf(stats, facts.newest);
  const told = noticeOf(job, news, before, stats);
  then.push({ op: "put", key: statsKey, value: encode(told.stats) });
  if (told.notice !== undefined) then.push({ op: "put", key: keys.notice(told.notice.id), value: encode(told.notice) });
  return { if: compares, then, records, voids };
}

function recordOf(job: Job, { held, of, from }: Slot, range: MissedRange, facts: WriteFacts): ExecutionRecord {
  const origin = held?.record ?? from;
  const form = of?.job ?? job;
  const named = { ...form, revision: origin?.jobRevision ?? form.revision, name: origin?.name ?? form.name };
  const hostname = range.node === NO_NODE ? NO_NODE : facts.hostname(range.node);
  return missedRecord(named, range, { endMs: facts.nowMs, hostname, id: held?.record.id });
}

/** What stands in place of a verdict that is taken back, until it is deleted. */
function voidOf({ record }: HeldRange, nowMs: number): ExecutionRecord {
  const { dueUntil: _, ...rest } = record;
  return { ...rest, dueCount: 0, handleTime: toIso(nowMs) };
}

function lastOf(stats: JobStats, record: ExecutionRecord): JobStats {
  // It is counted already.
  const { last } = recountMissed(NO_STATS, undefined, record);
  return last === undefined ? stats : { ...stats, last };
}

/** One notice for all that is new of the job: the title is of the range with the most ticks. */
function noticeOf(
  job: Job,
  news: readonly ExecutionRecord[],
  before: JobStats,
  after: JobStats,
): { stats: JobStats; notice: Notice | undefined } {
  const [main] = news.toSorted((a, b) => (b.dueCount ?? 1) - (a.dueCount ?? 1));
  if (main === undefined) return { stats: after, notice: undefined };
  const { stats, notice } = noticesOfRecord(job, main, before, after, undefined);
  const others = new Set(news.map(({ nodeId }) => nodeId)).size - 1;
  if (notice === undefined || others === 0) return { stats, notice };
  const title = `${notice.title} (and on ${others} more node${others === 1 ? "" : "s"})`;
  return { stats, notice: { ...notice, title, data: { ...notice.data, nodes: others + 1 } } };
}
