/** The tables of the PostgreSQL history, one step per version. Never change a step that was released: add one. */
import { AppError } from "fleetcron-shared/base/errors";
import type { PoolClient } from "pg";

/** Everything is in this schema, so one database can be shared with other programs. */
export const SCHEMA = "fleetcron";
/** Of the advisory locks: who changes tables, and who stores. */
export const LOCK_MIGRATE = 7_250_001;
export const LOCK_APPEND = 7_250_002;

/**
 * Records are partitioned by the day of their end in UTC. A partitioned table can keep ids unique only together with the end: a record is filed once and
 * never changes, so that is enough, but for provisional ones, which `provisional` remembers until the true one comes; appenders hold LOCK_APPEND. Ids compare by bytes, as in etcd. Behind what
 * they are ordered by, indexes have the columns that are filtered by beside theirs, so that rows which do not pass are not read. `words` holds what search-text.ts makes of a text.
 */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  `CREATE TABLE ${SCHEMA}.meta (key text PRIMARY KEY, value text NOT NULL);
   CREATE TABLE ${SCHEMA}.records (
     id text COLLATE "C" NOT NULL, end_ms bigint NOT NULL, job text COLLATE "C" NOT NULL, grp text COLLATE "C" NOT NULL,
     node text COLLATE "C" NOT NULL, class text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, word text COLLATE "C" NOT NULL,
     words tsvector NOT NULL, doc text NOT NULL, PRIMARY KEY (id, end_ms)
   ) PARTITION BY RANGE (end_ms);
   CREATE TABLE ${SCHEMA}.provisional (id text COLLATE "C" PRIMARY KEY, end_ms bigint NOT NULL);
   CREATE INDEX ON ${SCHEMA}.records (end_ms, id);
   CREATE INDEX ON ${SCHEMA}.records (job, end_ms, id, class, kind, word);
   CREATE INDEX ON ${SCHEMA}.records (node, end_ms, id, class, kind, word);
   CREATE INDEX ON ${SCHEMA}.records (grp, end_ms, id, class, kind, word);
   CREATE INDEX ON ${SCHEMA}.records (class, end_ms, id, grp, node);
   CREATE INDEX ON ${SCHEMA}.records (kind, end_ms, id, grp, node);
   CREATE INDEX ON ${SCHEMA}.records (word, end_ms, id, grp, node);
   CREATE INDEX ON ${SCHEMA}.records USING gin (words) WITH (fastupdate = off);`,
  `CREATE TABLE ${SCHEMA}.runs (
     id text COLLATE "C" PRIMARY KEY, pipeline text COLLATE "C" NOT NULL, state text COLLATE "C" NOT NULL, ended_ms bigint NOT NULL,
     revision bigint NOT NULL, doc text NOT NULL, plan text NOT NULL
   );
   CREATE INDEX ON ${SCHEMA}.runs (pipeline, id);
   CREATE INDEX ON ${SCHEMA}.runs (state, id);
   CREATE INDEX ON ${SCHEMA}.runs (ended_ms);`,
];

/** Inside of a transaction: brings the tables to `migrations.length`. Masters that start at once take their turns. Throws `history/refused` for later tables. */
export async function migratePostgres(
  client: Pick<PoolClient, "query">,
  migrations: readonly string[] = POSTGRES_MIGRATIONS,
): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock($1)", [LOCK_MIGRATE]);
  // CREATE SCHEMA IF NOT EXISTS asks for the right to create even where the schema is there.
  const schema = await client.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [SCHEMA]);
  if (schema.rowCount === 0) await client.query(`CREATE SCHEMA ${SCHEMA}`);
  const table = await client.query<{ there: boolean }>("SELECT to_regclass($1) IS NOT NULL AS there", [`${SCHEMA}.version`]);
  if (table.rows[0]?.there !== true)
    await client.query(`CREATE TABLE ${SCHEMA}.version (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`);
  const held = await client.query<{ version: number }>(`SELECT coalesce(max(version), 0) AS version FROM ${SCHEMA}.version`);
  const version = held.rows[0]?.version ?? 0;
  if (version > migrations.length) {
    throw new AppError(
      "history/refused",
      `the history was written by a later version of Fleetcron (tables of version ${version}, this one knows ${migrations.length})`,
      {
        hint: "upgrade this master, or name another database in `history`",
      },
    );
  }
  for (const [index, step] of migrations.entries()) {
    if (index < version) continue;
    await client.query(step);
    await client.query(`INSERT INTO ${SCHEMA}.version (version) VALUES ($1)`, [index + 1]);
  }
}
