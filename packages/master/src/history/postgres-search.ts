/**
 * Text search in PostgreSQL. Its planner knows nothing of how often rare words occur and chooses badly between the order and the index of words, so the choice is
 * made here: the newest records are looked at in order, which fills a page by itself when the words are common; when they are not, the index of words is
 * asked, for longer and longer spans of time back from there, and gives few rows.
 */
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Pool } from "pg";
import { MAX_LOOKED_AT, type Place, type RecordQuery, type RecordSlice } from "./history.ts";
import { placeOf } from "./match.ts";
import { conditions, nameOf, ORDER } from "./postgres-query.ts";
import { SCHEMA } from "./postgres-schema.ts";
import type { TextSearch } from "./search-text.ts";

/** Records that are looked at in order. */
const IN_ORDER = 1000;
/** The first span that the index is asked for, and how it grows. */
const SPAN_MS = 3_600_000;
const GROWTH = 8;
const LONGEST_MS = SPAN_MS * GROWTH ** 4;

type Row = { readonly doc: string | null; readonly end_ms: string; readonly id: string };

export async function searchRecords(pool: Pick<Pool, "query">, query: RecordQuery, search: TextSearch): Promise<RecordSlice> {
  if (search.isEmpty) return { records: [] };
  const words = [...search.words.map((word) => `'${word}'`), ...search.beginnings.map((word) => `'${word}':*`)].join(" & ");
  const found: ExecutionRecord[] = [];
  let lookedAt = 0;
  const take = (rows: readonly Row[]) => {
    for (const { doc } of rows) {
      if (doc === null) continue;
      lookedAt += 1;
      const record = JSON.parse(doc) as ExecutionRecord;
      if (search.test(record)) found.push(record);
    }
  };

  const newest = await inOrder(pool, query, words);
  take(newest);
  let place = placeAfter(newest, IN_ORDER);
  for (let spanMs = SPAN_MS; place !== undefined && found.length <= query.limit && lookedAt < MAX_LOOKED_AT; spanMs *= GROWTH) {
    const fromMs: number | undefined = spanMs > LONGEST_MS ? undefined : place.endMs - spanMs;
    const rows = await byIndex(pool, { ...query, before: place }, words, fromMs);
    take(rows);
    const isLast = fromMs === undefined || fromMs <= (query.sinceMs ?? 0);
    place = placeAfter(rows, MAX_LOOKED_AT) ?? (isLast ? undefined : { endMs: fromMs, id: "" });
  }
  const records = found.slice(0, query.limit);
  const last = records.at(-1);
  const next = found.length > query.limit && last !== undefined ? placeOf(last) : place;
  return next === undefined ? { records } : { records, next };
}

/** Where the rows end, when there may be more: as many came as were asked for. */
function placeAfter(rows: readonly Row[], asked: number): Place | undefined {
  const last = rows.at(-1);
  return rows.length < asked || last === undefined ? undefined : { endMs: Number(last.end_ms), id: last.id };
}

/** The newest records in order, each with its document when it has the words. */
async function inOrder(pool: Pick<Pool, "query">, query: RecordQuery, words: string): Promise<Row[]> {
  const { where, values } = conditions(query);
  const text = `SELECT CASE WHEN words @@ $${values.push(words)}::tsquery THEN doc END AS doc, end_ms, id FROM ${SCHEMA}.records ${where} ${ORDER} LIMIT ${IN_ORDER}`;
  return (await pool.query<Row>({ name: nameOf(text), text, values })).rows;
}

/** What the index of words has between `fromMs` and the place; materialised first, so that nothing is read in order. Planned for these values: no name. */
async function byIndex(pool: Pick<Pool, "query">, query: RecordQuery, words: string, fromMs: number | undefined): Promise<Row[]> {
  const sinceMs = fromMs === undefined ? query.sinceMs : Math.max(fromMs, query.sinceMs ?? 0);
  const { where, values } = conditions({ ...query, sinceMs });
  const inside = `SELECT doc, end_ms, id FROM ${SCHEMA}.records ${where} AND words @@ $${values.push(words)}::tsquery`;
  const text = `WITH found AS MATERIALIZED (${inside}) SELECT doc, end_ms, id FROM found ${ORDER} LIMIT ${MAX_LOOKED_AT}`;
  return (await pool.query<Row>(text, values)).rows;
}
