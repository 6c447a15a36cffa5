/**
 * The transaction that files records, from facts to compares and operations. Pure. Exactly once: it holds only while the inbox key is as read
 * (or, for a verdict of the leader, while the node has delivered nothing and, where that was the reason, is still gone), the record is as read, and the statistics are as read.
 */
import type { JobStats } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { absent, type Compare, MAX_TXN_BYTES, MAX_TXN_OPS, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { countRecord, NO_STATS, uncountProvisional } from "./stats.ts";

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

export type FilingFacts = {
  /** Undefined: no record there. */
  filed(recordKey: string): FiledBefore | undefined;
  stats(statsKey: string): StatsBefore | undefined;
  /** What to order in place of a lost execution, when its job asks for that. */
  rerun(record: ExecutionRecord): Op | undefined;
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
    const rerun = before === undefined && record.finalAttempt && record.outcome.type === "lost" ? facts.rerun(record) : undefined;
    const filed: ExecutionRecord = { ...record, finalAttempt: record.finalAttempt && rerun === undefined, isHandled: true, handleTime };
    const text = counted ? encode(filed) : "";
    bytes += recordKey.length + Buffer.byteLength(text) + (rerun?.op === "put" ? Buffer.byteLength(rerun.value) : 0);
    if (written.has(recordKey)) break;
    if (taken > 0 && (ops.length + stats.size + 4 > ROOM || compares.length + 4 > ROOM || bytes > MAX_TXN_BYTES)) break;
    taken += 1;
    written.add(recordKey);

    if (item.inbox !== undefined) compares.push(unchanged(item.inboxKey, item.inbox));
    else compares.push(absent(item.inboxKey));
    if (item.onlyWhileGone) compares.push(absent(keys.alive(record.nodeId)));
    compares.push(before === undefined ? absent(recordKey) : unchanged(recordKey, before.revision));
    if (item.inbox !== undefined) ops.push({ op: "delete", key: item.inboxKey });
    if (!counted) continue;
    ops.push({ op: "put", key: recordKey, value: text });
    if (rerun !== undefined) ops.push(rerun);

    if (!stats.has(statsKey)) compares.push(statsCompare(statsKey, facts.stats(statsKey)));
    const held = stats.get(statsKey) ?? facts.stats(statsKey)?.stats ?? NO_STATS;
    stats.set(statsKey, countRecord(before === undefined ? held : uncountProvisional(held, before.record), filed));
  }
  for (const [key, value] of stats) ops.push({ op: "put", key, value: encode(value) });
  return { if: compares, then: ops, taken, stats };
}

function statsCompare(key: string, before: StatsBefore | undefined): Compare {
  return before === undefined ? absent(key) : unchanged(key, before.revision);
}
