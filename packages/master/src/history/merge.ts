/** A page of the archive and what is not in it yet, as one list without doubles. Pure. */
import { isVoid } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { RecordQuery, RecordSlice } from "./history.ts";
import { comparePlaces, matcher, placeOf } from "./match.ts";

/** `waiting`: all records that may be newer than the archive's, in the order in which they were filed. */
export function mergeTail(waiting: readonly ExecutionRecord[], slice: RecordSlice, query: RecordQuery): RecordSlice {
  if (waiting.length === 0) return slice;
  const newest = new Map(waiting.map((record) => [record.id, record]));
  const passes = matcher(query);
  const { before, limit } = query;
  const isInside = (record: ExecutionRecord) =>
    (before === undefined || comparePlaces(placeOf(record), before) > 0) &&
    // Beyond the end of the archive's page others may come in between.
    (slice.next === undefined || comparePlaces(placeOf(record), slice.next) <= 0);
  const added = [...newest.values()].filter((record) => !isVoid(record) && passes(record) && isInside(record));
  // The archive may have a provisional one in place of a true one that waits, wherever that belongs.
  const kept = slice.records.filter(({ id }) => !newest.has(id));
  const all = [...added, ...kept].sort((a, b) => comparePlaces(placeOf(a), placeOf(b)));
  const records = all.slice(0, limit);
  const last = records.at(-1);
  const next = all.length > limit && last !== undefined ? placeOf(last) : slice.next;
  return next === undefined ? { records } : { records, next };
}

/** Pages of the same query in several parts of the archive, as one page. */
export function mergeSlices(slices: readonly RecordSlice[], limit: number): RecordSlice {
  // Where the first part stops, the others may not go on.
  const ends = slices.flatMap(({ next }) => (next === undefined ? [] : [next]));
  const end = ends.sort(comparePlaces)[0];
  const all = slices
    .flatMap(({ records }) => records)
    .filter((record) => end === undefined || comparePlaces(placeOf(record), end) <= 0)
    .sort((a, b) => comparePlaces(placeOf(a), placeOf(b)));
  const records = all.slice(0, limit);
  const last = records.at(-1);
  const next = all.length > limit && last !== undefined ? placeOf(last) : end;
  return next === undefined ? { records } : { records, next };
}

/** The query in each of the groups that a caller is limited to; undefined: in all. */
export async function recordsWithin(
  list: (query: RecordQuery) => Promise<RecordSlice | undefined>,
  groups: readonly string[] | undefined,
  query: RecordQuery,
): Promise<RecordSlice | undefined> {
  if (groups === undefined) return list(query);
  const asked = query.group ?? query.job?.split("/")[0];
  const chosen = asked === undefined ? [...new Set(groups)] : groups.includes(asked) ? [asked] : [];
  const slices = await Promise.all(chosen.map((group) => list({ ...query, group })));
  const found = slices.filter((slice) => slice !== undefined);
  return found.length < slices.length ? undefined : mergeSlices(found, query.limit);
}
