/** Stores a batch, each record once: see postgres-schema.ts. The caller holds LOCK_APPEND in the transaction. */

import { fromIso } from "fleetcron-shared/base/clock";
import { isVoid } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { PoolClient } from "pg";
import type { Batch } from "./history.ts";
import { columnsOf, isLater, type RecordColumns } from "./match.ts";
import { dayOf, makePartitions, partitionDays } from "./postgres-partitions.ts";
import { SCHEMA } from "./postgres-schema.ts";
import { clean, textOf, wordsOf } from "./search-text.ts";

type Client = Pick<PoolClient, "query">;
type Row = RecordColumns & { readonly record: ExecutionRecord };

export async function appendBatch(client: Client, { records, runs, upTo, anew }: Batch): Promise<void> {
  await putRecords(client, records);
  for (const { run, plan, revision } of runs) {
    await client.query(
      `INSERT INTO ${SCHEMA}.runs (id, pipeline, state, ended_ms, revision, doc, plan) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended_ms = excluded.ended_ms, revision = excluded.revision, doc = excluded.doc
       WHERE excluded.revision > runs.revision`,
      [
        run.id,
        `${run.group}/${run.pipeline}`,
        run.state,
        fromIso(run.endedAt ?? "") ?? 0,
        revision,
        JSON.stringify(run),
        JSON.stringify(plan),
      ],
    );
  }
  if (upTo === undefined) return;
  await client.query(
    `INSERT INTO ${SCHEMA}.meta (key, value) VALUES ('position', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value
     WHERE $2 OR meta.value::bigint < excluded.value::bigint`,
    [String(upTo), anew === true],
  );
}

async function putRecords(client: Client, records: readonly ExecutionRecord[]): Promise<void> {
  const rows = new Map<string, Row>();
  for (const record of records) {
    const row = { ...columnsOf(record), record };
    const held = rows.get(row.id);
    if (held === undefined || !row.isProvisional || held.isProvisional) rows.set(row.id, row);
  }
  if (rows.size === 0) return;
  const provisional = [...rows.values()].filter(({ isProvisional }) => isProvisional).map(({ id }) => id);
  if (provisional.length > 0) {
    const known = await client.query<{ id: string; doc: string }>(`SELECT id, doc FROM ${SCHEMA}.records WHERE id = ANY ($1)`, [
      provisional,
    ]);
    for (const { id, doc } of known.rows) {
      const row = rows.get(id);
      if (row !== undefined && !isLater(row.record, JSON.parse(doc) as ExecutionRecord)) rows.delete(id);
    }
  }
  const all = [...rows.values()];
  const fresh = all.filter(({ record }) => !isVoid(record));
  const there = new Set(await partitionDays(client));
  await makePartitions(client, new Set(fresh.map(({ endMs }) => dayOf(endMs)).filter((day) => !there.has(day))));
  const gone = await client.query<{ id: string; end_ms: string }>(
    `DELETE FROM ${SCHEMA}.provisional WHERE id = ANY ($1) RETURNING id, end_ms`,
    [all.map(({ id }) => id)],
  );
  for (const { id, end_ms } of gone.rows) await client.query(`DELETE FROM ${SCHEMA}.records WHERE id = $1 AND end_ms = $2`, [id, end_ms]);
  const left = fresh.filter(({ isProvisional }) => isProvisional);
  if (left.length > 0) {
    await client.query(`INSERT INTO ${SCHEMA}.provisional (id, end_ms) SELECT * FROM unnest ($1::text[], $2::bigint[])`, [
      left.map(({ id }) => id),
      left.map(({ endMs }) => endMs),
    ]);
  }
  const column = <T>(of: (row: Row) => T) => fresh.map(of);
  await client.query(
    `INSERT INTO ${SCHEMA}.records (id, end_ms, job, grp, node, class, kind, word, words, doc)
     SELECT id, end_ms, job, grp, node, class, kind, word, array_to_tsvector(string_to_array(words, ' ')), doc
     FROM unnest ($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
       AS row (id, end_ms, job, grp, node, class, kind, word, words, doc)
     ON CONFLICT (id, end_ms) DO NOTHING`,
    [
      ...[column(({ id }) => id), column(({ endMs }) => endMs), column(({ job }) => job), column(({ group }) => group)],
      ...[column(({ node }) => node), column((row) => row.class), column(({ kind }) => kind), column(({ word }) => word)],
      ...[column(({ record }) => wordsOf(textOf(record)).join(" ")), column(({ record }) => clean(JSON.stringify(record)))],
    ],
  );
}
