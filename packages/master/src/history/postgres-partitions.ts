/** Partitions of records: one per day, made when the first record of the day comes, dropped when the whole day is too old. */
import type { PoolClient } from "pg";
import { SCHEMA } from "./postgres-schema.ts";

export const DAY_MS = 86_400_000;

export function dayOf(endMs: number): number {
  return Math.floor(endMs / DAY_MS);
}

function nameOf(day: number): string {
  return `records_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

/** Makes those of the days that are not there yet. The caller holds LOCK_APPEND, so nobody else does. */
export async function makePartitions(client: Pick<PoolClient, "query">, days: Iterable<number>): Promise<void> {
  for (const day of days) {
    const bounds = `FROM (${day * DAY_MS}) TO (${(day + 1) * DAY_MS})`;
    await client.query(`CREATE TABLE IF NOT EXISTS ${SCHEMA}.${nameOf(day)} PARTITION OF ${SCHEMA}.records FOR VALUES ${bounds}`);
  }
}

/** The days of all partitions, oldest first. */
export async function partitionDays(client: Pick<PoolClient, "query">): Promise<number[]> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass",
    [`${SCHEMA}.records`],
  );
  const days = rows.flatMap(({ name }) => {
    const match = /^records_(\d{4})(\d\d)(\d\d)$/.exec(name);
    return match === null ? [] : [Math.floor(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])) / DAY_MS)];
  });
  return days.sort((a, b) => a - b);
}

/** The caller holds LOCK_APPEND. */
export async function dropPartition(client: Pick<PoolClient, "query">, day: number): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS ${SCHEMA}.${nameOf(day)}`);
}
