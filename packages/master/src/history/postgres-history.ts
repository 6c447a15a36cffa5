/**
 * The history in PostgreSQL, one for all masters. Readers and the appender have connections of their own; every statement has a limit, on both sides, so a
 * database that is gone or busy costs seconds. Its failures are `history/away`, or `history/refused` where somebody has to do something. Passwords are in no message.
 */
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import pg from "pg";
import type { ArchivedRun, Batch, History, RunQuery } from "./history.ts";
import { appendBatch } from "./postgres-append.ts";
import { DAY_MS, dayOf, dropPartition, partitionDays } from "./postgres-partitions.ts";
import { listRecords } from "./postgres-records.ts";
import { LOCK_APPEND, migratePostgres, SCHEMA } from "./postgres-schema.ts";
import { clean } from "./search-text.ts";

const CONNECT_MS = 3000;
const READ_MS = 5000;
const APPEND_MS = 60_000;
/** How long an append or a drop waits for a lock before it is tried again. */
const LOCK_MS = 10_000;
const EXPIRE_RUNS = 1000;

/** SQLSTATE classes and codes that do not pass by themselves: authorisation, unknown database or schema, rights, objects that are not as expected. */
const LASTING = /^(?:28...|3D...|3F...|42...)$/;

export type PostgresSetting = { readonly url: string; readonly where: string };

/** Throws `config/invalid` for files of certificates that cannot be read. */
export function createPostgresHistory(deps: { log: Log }, { url, where }: PostgresSetting): History {
  const readers = openPool(deps, url, where, { max: 4, ms: READ_MS });
  const writer = openPool(deps, url, where, { max: 1, ms: APPEND_MS });

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw toAppError(thrown, where);
    }
  }

  /** One transaction; with `lock`, one at a time among all masters. */
  function transaction<T>(lock: boolean, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return guarded(async () => {
      const client = await writer.connect();
      let broken = true;
      try {
        await client.query("BEGIN");
        await client.query(`SET LOCAL lock_timeout = ${LOCK_MS}`);
        if (lock) await client.query("SELECT pg_advisory_xact_lock($1)", [LOCK_APPEND]);
        const result = await work(client);
        await client.query("COMMIT");
        broken = false;
        return result;
      } finally {
        // Whatever went wrong, the connection is not used again: with it goes the transaction.
        client.release(broken);
      }
    });
  }

  return {
    kind: "postgres",
    isShared: true,
    where,
    open: (cluster) =>
      transaction(false, async (client) => {
        await migratePostgres(client);
        await client.query(`INSERT INTO ${SCHEMA}.meta (key, value) VALUES ('cluster', $1) ON CONFLICT (key) DO NOTHING`, [cluster]);
        const { rows } = await client.query<{ value: string }>(`SELECT value FROM ${SCHEMA}.meta WHERE key = 'cluster'`);
        if (rows[0]?.value === cluster) return;
        throw new AppError("history/refused", `the history ${where} belongs to cluster ${rows[0]?.value}, not to ${cluster}`, {
          hint: "name another database in `history`, or check --etcd and --prefix",
        });
      }),
    position: () =>
      guarded(async () => {
        const { rows } = await readers.query<{ value: string }>(`SELECT value FROM ${SCHEMA}.meta WHERE key = 'position'`);
        return rows[0] === undefined ? undefined : Number(rows[0].value);
      }),
    append: (batch: Batch) => transaction(true, (client) => appendBatch(client, batch)),
    records: (query) => guarded(() => listRecords(readers, query)),
    record: (id) =>
      guarded(async () => {
        const { rows } = await readers.query<{ doc: string }>(`SELECT doc FROM ${SCHEMA}.records WHERE id = $1 LIMIT 1`, [clean(id)]);
        return rows[0] === undefined ? undefined : (JSON.parse(rows[0].doc) as ExecutionRecord);
      }),
    recordsOf: (execution) =>
      guarded(async () => {
        const bounds = [`${clean(execution)}-`, `${clean(execution)}.`];
        const { rows } = await readers.query<{ doc: string }>(`SELECT doc FROM ${SCHEMA}.records WHERE id >= $1 AND id < $2`, bounds);
        return rows.map(({ doc }) => JSON.parse(doc) as ExecutionRecord).filter((record) => record.execution === execution);
      }),
    runs: ({ pipeline, state, before, limit }: RunQuery) =>
      guarded(async () => {
        const { rows } = await readers.query<{ doc: string }>(
          `SELECT doc FROM ${SCHEMA}.runs WHERE id < $1 AND ($2::text IS NULL OR pipeline = $2) AND ($3::text IS NULL OR state = $3) ORDER BY id DESC LIMIT $4`,
          [clean(before), pipeline ?? null, state ?? null, limit],
        );
        return rows.map(({ doc }) => JSON.parse(doc) as ArchivedRun["run"]);
      }),
    run: (id) =>
      guarded(async () => {
        const { rows } = await readers.query<{ doc: string; plan: string }>(`SELECT doc, plan FROM ${SCHEMA}.runs WHERE id = $1`, [
          clean(id),
        ]);
        return rows[0] === undefined ? undefined : { run: JSON.parse(rows[0].doc), plan: JSON.parse(rows[0].plan) };
      }),
    expire: (beforeMs) =>
      transaction(true, async (client) => {
        const day = (await partitionDays(client)).find((one) => one + 1 <= dayOf(beforeMs));
        if (day !== undefined) {
          await dropPartition(client, day);
          await client.query(`DELETE FROM ${SCHEMA}.provisional WHERE end_ms < $1`, [(day + 1) * DAY_MS]);
        }
        const runs = await client.query(
          `DELETE FROM ${SCHEMA}.runs WHERE id IN (SELECT id FROM ${SCHEMA}.runs WHERE ended_ms < $1 LIMIT ${EXPIRE_RUNS})`,
          [Math.floor(beforeMs)],
        );
        return (day === undefined ? 0 : 1) + (runs.rowCount ?? 0);
      }),
    facts: () =>
      guarded(async () => {
        const { rows } = await readers.query<{ records: string; bytes: string; runs: string }>(
          `SELECT (SELECT count(*) FROM ${SCHEMA}.runs) AS runs, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS records,
             coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass`,
          [`${SCHEMA}.records`],
        );
        const oldest = await readers.query<{ end_ms: string }>(`SELECT end_ms FROM ${SCHEMA}.records ORDER BY end_ms LIMIT 1`);
        const [row, first] = [rows[0], oldest.rows[0]];
        const oldestMs = first === undefined ? undefined : Number(first.end_ms);
        return { records: Number(row?.records), runs: Number(row?.runs), bytes: Number(row?.bytes), oldestMs };
      }),
    async close() {
      await Promise.all([readers, writer].map(({ close }) => close()));
    },
  };
}

type OwnPool = Pick<pg.Pool, "query" | "connect"> & { close(): Promise<void> };

function openPool(deps: { log: Log }, url: string, where: string, { max, ms }: { max: number; ms: number }): OwnPool {
  const clients = new Set<pg.PoolClient>();
  try {
    // A pool would read the URL and its files with the first query only.
    new pg.Client({ connectionString: url });
    const pool = new pg.Pool({
      ...{ connectionString: url, application_name: "fleetcron", max, connectionTimeoutMillis: CONNECT_MS, idleTimeoutMillis: 60_000 },
      // Compiling costs more than pages of an index do.
      onConnect: async (client) => void (await client.query("SET jit = off")),
      ...{ statement_timeout: ms, query_timeout: ms + 1000, keepAlive: true, allowExitOnIdle: true },
    });
    // An idle connection that breaks is replaced by the next query, which tells of it if that fails, too.
    pool.on("error", (error) => deps.log.debug({ err: error }, "idle connection to the history ended"));
    pool.on("connect", (client) => {
      clients.add(client);
      // One that breaks in the middle of a transaction fails its query, and says so itself as well: unheard, that would end the program.
      client.on("error", (error) => deps.log.debug({ err: error }, "connection to the history broke"));
    });
    pool.on("remove", (client) => clients.delete(client));
    return {
      query: pool.query.bind(pool),
      connect: pool.connect.bind(pool),
      async close() {
        // Whoever stops does not wait for a statement.
        const ended = pool.end().catch(() => {});
        for (const client of clients) (client as unknown as pg.Client).end().catch(() => {});
        await ended;
      },
    };
  } catch (thrown) {
    throw new AppError("config/invalid", `the history ${where} cannot be used: ${asError(thrown).message}`, {
      hint: "check sslmode, sslrootcert, sslcert and sslkey in the URL of `history`",
    });
  }
}

function toAppError(thrown: unknown, where: string): AppError {
  if (thrown instanceof AppError) return thrown;
  const error = asError(thrown) as Error & { code?: string };
  const lasting = LASTING.test(error.code ?? "");
  const text = `the history ${where} ${lasting ? "refuses" : "does not answer"}: ${error.message === "" ? (error.code ?? error.name) : error.message}`;
  if (lasting)
    return new AppError("history/refused", text, { hint: "check user, password, database and the user's rights (docs/history.md)" });
  return new AppError("history/away", text, { cause: error });
}
