/**
 * Records, newest first, of one job or of all. Of all: a merge of the jobs' own lists, each opened only when its newest record may be next (the
 * statistics say when a job's newest result ended), so a page costs a few reads however many records there are. Nothing is held in memory.
 */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import { firstIdAt } from "fleetcron-shared/base/ids";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { fromKey, type JobRef } from "../job-ref.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { fromCursor, isText, toCursor } from "./page.ts";

export type RecordQuery = {
  readonly job?: string | undefined;
  readonly node?: string | undefined;
  readonly outcome?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
};

type ListDeps = Pick<OpsDeps, "kv" | "keys" | "views">;

/** With a filter that few records pass, a page ends after so many were looked at; the cursor goes on from there. */
const MAX_LOOKED_AT = 5000;
const FIRST_READ = 50;
const FULL_READ = 500;

/** Records of [since, until) by the time their executions began. */
export async function listRecords(deps: ListDeps, query: RecordQuery): Promise<{ items: ExecutionRecord[]; next?: string }> {
  const after = fromCursor(query.cursor, isText);
  const until = query.until === undefined ? "~" : firstIdAt(fromIso(query.until) ?? 0);
  const end = after !== undefined && after < until ? after : until;
  const since = query.since === undefined ? "" : firstIdAt(fromIso(query.since) ?? 0);
  const streams =
    query.job === undefined
      ? everyJob(deps, since, end)
      : [streamOf(deps, fromKey(query.job), "~", since, end, Math.max(FIRST_READ, query.limit))];
  const items: ExecutionRecord[] = [];
  let lookedAt = 0;
  for await (const record of newestFirst(streams)) {
    lookedAt += 1;
    if (passes(record, query)) items.push(record);
    if (items.length >= query.limit || lookedAt >= MAX_LOOKED_AT) return { items, next: toCursor(record.id) };
  }
  return { items };
}

function passes(record: ExecutionRecord, query: RecordQuery): boolean {
  if (query.node !== undefined && record.nodeId !== query.node) return false;
  switch (query.outcome) {
    case undefined:
      return true;
    case "success":
      return record.success;
    case "failure":
      return !record.success && record.outcome.type !== "skipped";
    default:
      return record.outcome.type === query.outcome || outcomeWord(record.outcome) === query.outcome;
  }
}

type Stream = {
  /** No record that is still to come has a greater id. Undefined: there is none any more. */
  bound: string | undefined;
  head: ExecutionRecord | undefined;
  /** Reads on until `head` is known. */
  advance(): Promise<void>;
};

function everyJob(deps: ListDeps, since: string, end: string): Stream[] {
  const streams: Stream[] = [];
  for (const [key, { stats }] of deps.views.stats.entries()) {
    const [, group, id] = deps.keys.parts(key);
    const endedMs: EpochMs | undefined = fromIso(stats.last?.endTime ?? "");
    if (group === undefined || id === undefined || endedMs === undefined) continue;
    const bound = firstIdAt(endedMs + 1);
    if (bound >= since) streams.push(streamOf(deps, { group, id }, bound, since, end, FIRST_READ));
  }
  return streams;
}

/** The records of one job with ids in [since, end), newest first, read as they are asked for. */
function streamOf(deps: ListDeps, ref: JobRef, bound: string, since: string, end: string, firstRead: number): Stream {
  const prefix = deps.keys.recordsOf(ref.group, ref.id);
  let buffer: ExecutionRecord[] = [];
  let below = end;
  let more = true;
  let limit = firstRead;
  const stream: Stream = {
    bound: bound < end ? bound : end,
    head: undefined,
    async advance() {
      stream.head = buffer.shift();
      while (stream.head === undefined && more && since < below) {
        const page = await deps.kv.range({ start: prefix + since, end: prefix + below, reverse: true, limit });
        limit = FULL_READ;
        more = page.more;
        below = page.kvs.at(-1)?.key.slice(prefix.length) ?? below;
        buffer = page.kvs.map((kv) => tryDecode<ExecutionRecord>(kv.key, kv.value)).filter((record) => record !== undefined);
        stream.head = buffer.shift();
      }
      stream.bound = stream.head?.id;
    },
  };
  return stream;
}

/** Merges the streams by id, descending. A stream is read only when its bound is the greatest of all. */
async function* newestFirst(streams: Stream[]): AsyncGenerator<ExecutionRecord> {
  const waiting = streams.sort((a, b) => ((a.bound ?? "") < (b.bound ?? "") ? -1 : 1));
  for (let stream = waiting.pop(); stream !== undefined; stream = waiting.pop()) {
    if (stream.head !== undefined) yield stream.head;
    await stream.advance();
    if (stream.bound !== undefined) insert(waiting, stream);
  }
}

/** Keeps `sorted` ascending by bound; among equals one whose head is known comes last (is taken first). */
function insert(sorted: Stream[], stream: Stream): void {
  const bound = stream.bound ?? "";
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle]?.bound ?? "") <= bound) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, stream);
}
