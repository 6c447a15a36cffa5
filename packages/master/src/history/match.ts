/** How records are filtered and ordered: the columns that adapters index, and the same as a test in memory for what is not in the archive yet. Pure. */
import { fromIso } from "fleetcron-shared/base/clock";
import { idTimeMs } from "fleetcron-shared/base/ids";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { Place, RecordFilter } from "./history.ts";
import { clean, compileSearch } from "./search-text.ts";

/** A clock of a node that is ahead by more than this is not believed. */
const AHEAD_MS = 300_000;

/** When it ended, for order and retention. A time in the future, or none at all, is that of its filing. */
export function endMsOf(record: ExecutionRecord): number {
  const filedMs = fromIso(record.handleTime ?? "") ?? idTimeMs(record.id) ?? 0;
  const endMs = fromIso(record.endTime) ?? filedMs;
  return Math.max(0, endMs > filedMs + AHEAD_MS ? filedMs : endMs);
}

export function placeOf(record: ExecutionRecord): Place {
  return { endMs: endMsOf(record), id: record.id };
}

/** Newest first. */
export function comparePlaces(a: Place, b: Place): number {
  return b.endMs - a.endMs || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

/** Whether a provisional record takes the place of one that is held. */
export function isLater(record: ExecutionRecord, held: Pick<ExecutionRecord, "provisional" | "handleTime">): boolean {
  return held.provisional === true && (fromIso(record.handleTime ?? "") ?? 0) > (fromIso(held.handleTime ?? "") ?? 0);
}

export type RecordColumns = {
  readonly id: string;
  readonly endMs: number;
  readonly job: string;
  readonly group: string;
  readonly node: string;
  readonly class: OutcomeClass;
  readonly kind: string;
  readonly word: string;
  readonly isProvisional: boolean;
};

/** What people ask for first; `skipped` is neither of the two. */
export type OutcomeClass = "success" | "failure" | "skipped";

/** What agents name is no longer than this, and what is would not fit into an index: one such record must not hold up all others. */
const name = (text: string) => clean(text.slice(0, 256));
const shortWord = (text: string) => clean(text.slice(0, 100));

export function columnsOf(record: ExecutionRecord): RecordColumns {
  return {
    id: name(record.id),
    endMs: endMsOf(record),
    job: name(`${record.jobGroup}/${record.jobId}`),
    group: name(record.jobGroup),
    node: name(record.nodeId),
    class: record.success ? "success" : record.outcome.type === "skipped" ? "skipped" : "failure",
    kind: shortWord(record.outcome.type),
    word: shortWord(outcomeWord(record.outcome)),
    isProvisional: record.provisional === true,
  };
}

/** Which column an `outcome` filter asks, and for what. */
export function outcomeColumn(outcome: string): { readonly column: "class" | "kind" | "word"; readonly value: string } {
  const value = shortWord(outcome);
  if (value === "success" || value === "failure") return { column: "class", value };
  return { column: value.includes(":") ? "word" : "kind", value };
}

/** The filter as a test. */
export function matcher(filter: RecordFilter): (record: ExecutionRecord) => boolean {
  const { job, group, node, outcome, sinceMs, untilMs, text } = filter;
  const search = text === undefined ? undefined : compileSearch(text);
  const asked = outcome === undefined ? undefined : outcomeColumn(outcome);
  return (record) => {
    const columns = columnsOf(record);
    if (job !== undefined && columns.job !== job) return false;
    if (group !== undefined && columns.group !== group) return false;
    if (node !== undefined && columns.node !== node) return false;
    if (asked !== undefined && columns[asked.column] !== asked.value) return false;
    if (sinceMs !== undefined && columns.endMs < sinceMs) return false;
    if (untilMs !== undefined && columns.endMs >= untilMs) return false;
    return search === undefined || search.test(record);
  };
}
