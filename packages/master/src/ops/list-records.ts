/**
 * Records, newest first, of one job or of all: from the history with what is not in it yet, by when they ended; or, where there is no history or it does not
 * answer for everything now, from etcd alone, by when they began. That is a merge of the jobs' own lists, each opened only when its newest record may be
 * next (the statistics say when a job's newest result ended), so a page costs a few reads however many records there are. Nothing is held in memory.
 */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { firstIdAt } from "fleetcron-shared/base/ids";
import { placeOf } from "fleetcron-shared/base/sorted";
import { isVoid } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Place, RecordFilter } from "../history/history.ts";
import { matcher } from "../history/match.ts";
import { recordsWithin } from "../history/merge.ts";
import { fromKey, type JobRef } from "../job-ref.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { fromCursor, isText, toCursor } from "./page.ts";

export type RecordQuery = {
  readonly job?: string | undefined;
  readonly group?: string | undefined;
  readonly node?: string | undefined;
  readonly outcome?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly text?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
};

type ListDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "archive" | "caller">;

export type RecordList = { readonly items: ExecutionRecord[]; readonly next?: string; readonly notice?: string };

/** With a filter that few records pass, a page ends after so many were looked at; the cursor goes on from there. */
const MAX_LOOKED_AT = 5000;
const FIRST_READ = 50;
const FULL_READ = 500;

/** Records of [since, until). A list that has begun in one of the two orders goes on in it. */
export async function listRecords(deps: ListDeps, query: RecordQuery): Promise<RecordList> {
  const { archive } = deps;
  const after = fromCursor(query.cursor, isCursor);
  if (typeof after === "string") return fromEtcd(deps, query, after);
  if (archive === undefined) {
    if (after === undefined) return fromEtcd(deps, query, undefined);
    throw new AppError("input/usage", "the cursor is one of a history, and this master has none", { hint: "begin without a cursor" });
  }
  const { job, group, node, outcome, since, until, text, limit } = query;
  const filter: RecordFilter = { job, group, node, outcome, text, sinceMs: fromIso(since ?? ""), untilMs: fromIso(until ?? "") };
  const slice = await recordsWithin(archive.records, deps.caller?.()?.groups, { ...filter, before: after, limit });
  if (slice !== undefined) return { items: [...slice.records], ...(slice.next === undefined ? {} : { next: toCursor(slice.next) }) };
  if (after !== undefined) {
    throw new AppError("history/away", "the history does not answer now, and this list goes on in it", {
      hint: "try again later, or begin without a cursor: then etcd answers with the records that it still holds",
    });
  }
  const page = await fromEtcd(deps, query, undefined);
  return {
    ...page,
    notice: "the history does not answer, or is still being filled: these are the records that etcd holds, by when they began",
  };
}

function isCursor(place: unknown): place is string | Place {
  if (isText(place)) return true;
  if (typeof place !== "object" || place === null) return false;
  const { endMs, id } = place as Partial<Record<keyof Place, unknown>>;
  return Number.isSafeInteger(endMs) && (endMs as number) >= 0 && typeof id === "string" && !id.includes("\0");
}

/** Of [since, until) by the time their executions began. */
async function fromEtcd(deps: ListDeps, query: RecordQuery, after: string | undefined): Promise<RecordList> {
  const until = query.until === undefined ? "~" : firstIdAt(fromIso(query.until) ?? 0);
  const end = after !== undefined && after < until ? after : until;
  const since = query.since === undefined ? "" : firstIdAt(fromIso(query.since) ?? 0);
  const { job, group, node, outcome, text } = query;
  const streams =
    job === undefined
      ? everyJob(deps, group, since, end)
      : [streamOf(deps, fromKey(job), "~", since, end, Math.max(FIRST_READ, query.limit))];
  const passes = matcher({ group, node, outcome, text });
  const items: ExecutionRecord[] = [];
  let lookedAt = 0;
  for await (const record of newestFirst(streams)) {
    lookedAt += 1;
    if (!isVoid(record) && passes(record)) items.push(record);
    if (items.length >= query.limit || lookedAt >= MAX_LOOKED_AT) return { items, next: toCursor(record.id) };
  }
  return { items };
}

type Stream = {
  /** No record that is still to come has a greater id. Undefined: there is none any more. */
  bound: string | undefined;
  head: ExecutionRecord | undefined;
  /** Reads on until `head` is known. */
  advance(): Promise<void>;
};

function everyJob(deps: ListDeps, of: string | undefined, since: string, end: string): Stream[] {
  const streams: Stream[] = [];
  for (const [key, { stats }] of deps.views.stats.entries()) {
    const [, group, id] = deps.keys.parts(key);
    const endedMs: EpochMs | undefined = fromIso(stats.last?.endTime ?? "");
    if (group === undefined || id === undefined || endedMs === undefined || (of !== undefined && group !== of)) continue;
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
  const own = stream.bound ?? "";
  const place = placeOf(sorted, ({ bound }) => (bound ?? "") <= own);
  sorted.splice(place, 0, stream);
}
