/**
 * The transaction that files records, from facts to compares and operations. Pure. Exactly once: it holds only while the inbox key is as read
 * (or, for a verdict of the leader, while the node has delivered nothing and, where that was the reason, is still gone), the record is as read, and the statistics are as read.
 */
import { fromIso } from "fleetcron-shared/base/clock";
import type { JobStats } from "fleetcron-shared/model/facts";
import type { Notice } from "fleetcron-shared/model/notice";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { absent, type Compare, MAX_TXN_BYTES, MAX_TXN_OPS, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Mark, ResultEffects } from "./filing-result.ts";
import { countRecord, NO_STATS, uncountProvisional } from "./stats.ts";
import type { TaskAdditions } from "./task-record.ts";

/** A record to file: delivered by its node (`inbox` is the key's revision as read) or a verdict of the leader (`inbox` undefined). */
export type FilingItem = {
  readonly inboxKey: string;
  readonly inbox: Revision | undefined;
  readonly record: ExecutionRecord;
  /** A verdict that the node's return makes void. */
  readonly onlyWhileGone?: boolean;
};
/** What stands at the record's key. */
export type FiledBefore = { readonly revision: Revision; readonly record: ExecutionRecord };
export type StatsBefore = { readonly revision: Revision; readonly stats: JobStats };

/** A global or a condition as it stands. */
export type Standing = { readonly revision: Revision; readonly at: string };

export type FilingFacts = {
  /** Undefined: no record there. */
  filed(recordKey: string): FiledBefore | undefined;
  stats(statsKey: string): StatsBefore | undefined;
  /** What stands at the key of a global or condition. */
  standing(key: string): Standing | undefined;
  /** What the record's result brings about. */
  effects(record: ExecutionRecord): ResultEffects | undefined;
  /** What filing adds for a record of a pipeline's task. */
  task(record: ExecutionRecord): TaskAdditions | undefined;
  /** What to order in place of a lost execution, when its job asks for that. */
  rerun(record: ExecutionRecord): Op | undefined;
  /** What is told of the record, and the statistics with what fails now; `stats` before and after it was counted, `replaced` the provisional record before. */
  notices(
    record: ExecutionRecord,
    stats: { readonly before: JobStats; readonly after: JobStats },
    replaced: ExecutionRecord | undefined,
  ): { readonly stats: JobStats; readonly notice: Notice | undefined };
};

export type FilingPlan = {
  readonly if: readonly Compare[];
  readonly then: readonly Op[];
  /** How many of the items it covers; the rest needs another transaction. */
  readonly taken: number;
  /** The statistics that it writes, by key. */
  readonly stats: ReadonlyMap<string, JobStats>;
};

/** At most so many records in one transaction. */
export const FILING_BATCH = 40;
/** One compare is the term's. */
const ROOM = MAX_TXN_OPS - 1;

export function planFiling(keys: Keys, handleTime: string, items: readonly FilingItem[], facts: FilingFacts): FilingPlan {
  const compares: Compare[] = [];
  const ops: Op[] = [];
  const stats = new Map<string, JobStats>();
  const marks = new Map<string, Mark["value"]>();
  /** A key may be written once in a transaction. */
  const written = new Set<string>();
  let bytes = 0;
  let taken = 0;
  for (const item of items.slice(0, FILING_BATCH)) {
    const { record } = item;
    const recordKey = keys.record(record.jobGroup, record.jobId, record.id);
    const statsKey = keys.stats(record.jobGroup, record.jobId);
    const before = facts.filed(recordKey);
    const counted = before === undefined || (before.record.provisional === true && item.inbox !== undefined);
    // What one of several hosts did counts with the whole attempt.
    const isWhole = record.partOf === undefined;
    const rerun = before === undefined && record.finalAttempt && record.outcome.type === "lost" ? facts.rerun(record) : undefined;
    const effects = counted ? facts.effects(record) : undefined;
    const fresh = effects?.marks.filter(({ key, value }) => !isOlder(value, marks.get(key) ?? facts.standing(key))) ?? [];
    const task = counted && isWhole ? facts.task(record) : undefined;
    const filed: ExecutionRecord = {
      ...record,
      ...task?.fields,
      ...(effects === undefined ? {} : { result: effects.result }),
      finalAttempt: record.finalAttempt && rerun === undefined,
      isHandled: true,
      handleTime,
    };
    const held = stats.get(statsKey) ?? facts.stats(statsKey)?.stats ?? NO_STATS;
    const base = before === undefined ? held : uncountProvisional(held, before.record);
    const told = counted && isWhole ? facts.notices(filed, { before: base, after: countRecord(base, filed) }, before?.record) : undefined;
    const orders = [
      ...(rerun === undefined ? [] : [rerun]),
      ...(effects?.orders ?? []),
      ...noticeOps(keys, told?.notice),
      ...(task?.requests ?? []),
    ];
    const text = counted ? encode(filed) : "";
    bytes += recordKey.length + Buffer.byteLength(text);
    for (const order of orders) bytes += order.op === "put" ? Buffer.byteLength(order.value) : 0;
    const room = ROOM - 3 - fresh.length;
    if (written.has(recordKey)) break;
    if (taken > 0 && (ops.length + stats.size + marks.size + orders.length > room || compares.length > room - 1 || bytes > MAX_TXN_BYTES))
      break;
    taken += 1;
    written.add(recordKey);

    if (item.inbox !== undefined) compares.push(unchanged(item.inboxKey, item.inbox));
    else compares.push(absent(item.inboxKey));
    if (item.onlyWhileGone) compares.push(absent(keys.alive(record.nodeId)));
    compares.push(before === undefined ? absent(recordKey) : unchanged(recordKey, before.revision));
    if (item.inbox !== undefined) ops.push({ op: "delete", key: item.inboxKey });
    if (counted) ops.push({ op: "put", key: recordKey, value: text });
    if (told === undefined) continue;
    ops.push(...orders);
    for (const { key, value } of fresh) {
      if (!marks.has(key)) compares.push(asRead(key, facts.standing(key)));
      marks.set(key, value);
    }

    if (!stats.has(statsKey)) compares.push(asRead(statsKey, facts.stats(statsKey)));
    stats.set(statsKey, told.stats);
  }
  for (const [key, value] of [...stats, ...marks]) ops.push({ op: "put", key, value: encode(value) });
  return { if: compares, then: ops, taken, stats };
}

/** Results count by the end of their attempt, however late they are delivered. */
function isOlder(mark: { readonly at: string }, standing: { readonly at: string } | undefined): boolean {
  return standing !== undefined && (fromIso(mark.at) ?? 0) < (fromIso(standing.at) ?? 0);
}

function asRead(key: string, before: { readonly revision: Revision } | undefined): Compare {
  return before === undefined ? absent(key) : unchanged(key, before.revision);
}

function noticeOps(keys: Keys, notice: Notice | undefined): Op[] {
  return notice === undefined ? [] : [{ op: "put", key: keys.notice(notice.id), value: encode(notice) }];
}
