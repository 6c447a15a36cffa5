/** Pages of records from PostgreSQL, by end time. Partitions are in the same order, so a page opens only those that it needs. */
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Pool } from "pg";
import type { RecordQuery, RecordSlice } from "./history.ts";
import { placeOf } from "./match.ts";
import { conditions, nameOf, ORDER } from "./postgres-query.ts";
import { SCHEMA } from "./postgres-schema.ts";
import { searchRecords } from "./postgres-search.ts";
import { compileSearch } from "./search-text.ts";

export async function listRecords(pool: Pick<Pool, "query">, query: RecordQuery): Promise<RecordSlice> {
  if (query.text !== undefined) return searchRecords(pool, query, compileSearch(query.text));
  const { where, values } = conditions(query);
  const text = `SELECT doc FROM ${SCHEMA}.records ${where} ${ORDER} LIMIT ${query.limit + 1}`;
  const { rows } = await pool.query<{ doc: string }>({ name: nameOf(text), text, values });
  const found = rows.map(({ doc }) => JSON.parse(doc) as ExecutionRecord);
  const records = found.slice(0, query.limit);
  const last = records.at(-1);
  return found.length > query.limit && last !== undefined ? { records, next: placeOf(last) } : { records };
}
