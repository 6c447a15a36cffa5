/**
 * The SQLite history itself, synchronous: it lives in a thread of its own (sqlite-worker.ts). Write-ahead log with full synchronisation, because etcd lets go
 * of what is in here. Several processes may use one file; batches exclude each other.
 */
import { createHash } from "node:crypto";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { fromIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { isVoid } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import {
  type ArchivedRun,
  type Batch,
  type HistoryFacts,
  MAX_LOOKED_AT,
  type RecordQuery,
  type RecordSlice,
  type RunQuery,
} from "./history.ts";
import { columnsOf, comparePlaces, isLater, outcomeColumn, placeOf, type RecordColumns } from "./match.ts";
import { clean, compileSearch, textOf, wordsOf } from "./search-text.ts";
import { migrateSqlite } from "./sqlite-schema.ts";

const SEQ_BITS = 20n;
const SEQ_MASK = (1n << SEQ_BITS) - 1n;
const EXPIRE_ROWS = 1000;

export type SqliteStore = ReturnType<typeof openSqliteStore>;

/** Opens or creates the file. Throws what SQLite throws, and `history/refused`. */
export function openSqliteStore(path: string, cluster: string) {
  const db = new DatabaseSync(path, { timeout: 5000 });
  try {
    db.exec("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536");
    migrateSqlite(db);
    claim(db, path, cluster);
  } catch (error) {
    db.close();
    throw error;
  }
  const known = db.prepare("SELECT seq, provisional, iif(provisional = 1, doc, NULL) AS doc FROM records WHERE id = ?");
  known.setReadBigInts(true);
  const taken = db.prepare("SELECT 1 FROM records WHERE seq = ?");
  const insert = db.prepare(
    "INSERT INTO records (seq, id, job, grp, node, class, kind, word, provisional, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const insertWords = db.prepare("INSERT INTO words (rowid, texts) VALUES (?, ?)");
  const remove = db.prepare("DELETE FROM records WHERE seq = ?");
  const removeWords = db.prepare("DELETE FROM words WHERE rowid = ?");
  const putRun = db.prepare(
    `INSERT INTO runs (id, pipeline, state, ended_ms, revision, doc, plan) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended_ms = excluded.ended_ms, revision = excluded.revision, doc = excluded.doc
     WHERE excluded.revision > runs.revision`,
  );
  const setPosition = db.prepare(
    `INSERT INTO meta (key, value) VALUES ('position', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1 WHERE ?2 OR CAST(value AS INTEGER) < CAST(?1 AS INTEGER)`,
  );

  function put(record: ExecutionRecord): void {
    const columns = columnsOf(record);
    const held = known.get(columns.id) as { seq: bigint; provisional: bigint; doc: string | null } | undefined;
    if (held !== undefined) {
      if (held.provisional === 0n || (columns.isProvisional && !isLater(record, JSON.parse(held.doc ?? "{}")))) return;
      removeWords.run(held.seq);
      remove.run(held.seq);
    }
    if (isVoid(record)) return;
    let low = BigInt(`0x${hash(columns.id, 5)}`);
    const high = BigInt(columns.endMs) << SEQ_BITS;
    while (taken.get(high | low) !== undefined) low = (low + 1n) & SEQ_MASK;
    const { id, job, group, node, kind, word } = columns;
    insert.run(high | low, id, job, group, node, columns.class, kind, word, columns.isProvisional ? 1 : 0, JSON.stringify(record));
    insertWords.run(high | low, [...columnWords(columns), ...wordsOf(textOf(record))].join(" "));
  }

  return {
    append({ records, runs, upTo, anew }: Batch): void {
      db.exec("BEGIN IMMEDIATE");
      try {
        for (const record of records) put(record);
        for (const { run, plan, revision } of runs)
          putRun.run(
            run.id,
            `${run.group}/${run.pipeline}`,
            run.state,
            fromIso(run.endedAt ?? "") ?? 0,
            revision,
            JSON.stringify(run),
            JSON.stringify(plan),
          );
        if (upTo !== undefined) setPosition.run(String(upTo), anew === true ? 1 : 0);
        db.exec("COMMIT");
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    position(): number | undefined {
      const value = db.prepare("SELECT value FROM meta WHERE key = 'position'").get()?.value;
      return value === undefined ? undefined : Number(value);
    },
    records: (query: RecordQuery): RecordSlice => listRecords(db, query),
    record: (id: string): ExecutionRecord | undefined => docOf(db.prepare("SELECT doc FROM records WHERE id = ?").get(clean(id))),
    recordsOf(execution: string): ExecutionRecord[] {
      const rows = db.prepare("SELECT doc FROM records WHERE id >= ? AND id < ?").all(`${clean(execution)}-`, `${clean(execution)}.`);
      return rows.flatMap((row) => docOf<ExecutionRecord>(row) ?? []).filter((record) => record.execution === execution);
    },
    runs({ pipeline, state, before, limit }: RunQuery): ArchivedRun["run"][] {
      const where = ["id < ?", ...(pipeline === undefined ? [] : ["pipeline = ?"]), ...(state === undefined ? [] : ["state = ?"])];
      const values = [clean(before), ...[pipeline, state].filter((value) => value !== undefined)];
      const rows = db.prepare(`SELECT doc FROM runs WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`).all(...values, limit);
      return rows.flatMap((row) => docOf<ArchivedRun["run"]>(row) ?? []);
    },
    run(id: string): ArchivedRun | undefined {
      const row = db.prepare("SELECT doc, plan FROM runs WHERE id = ?").get(clean(id));
      return row === undefined ? undefined : { run: JSON.parse(String(row.doc)), plan: JSON.parse(String(row.plan)) };
    },
    expire(beforeMs: number): number {
      const bound = BigInt(Math.max(0, Math.floor(beforeMs))) << SEQ_BITS;
      const old = db.prepare("SELECT seq FROM records WHERE seq < ? ORDER BY seq LIMIT ?");
      old.setReadBigInts(true);
      db.exec("BEGIN IMMEDIATE");
      try {
        const rows = old.all(bound, EXPIRE_ROWS) as { seq: bigint }[];
        for (const { seq } of rows) {
          removeWords.run(seq);
          remove.run(seq);
        }
        const runs = db.prepare("DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE ended_ms < ? LIMIT ?)").run(beforeMs, EXPIRE_ROWS);
        db.exec("COMMIT; PRAGMA incremental_vacuum(2000)");
        return rows.length + Number(runs.changes);
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    facts(): HistoryFacts {
      const row = db
        .prepare(
          "SELECT (SELECT count(*) FROM records) AS records, (SELECT count(*) FROM runs) AS runs, (SELECT min(seq) >> 20 FROM records) AS oldest",
        )
        .get();
      const pages = db.prepare("SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()").get();
      return {
        records: Number(row?.records),
        runs: Number(row?.runs),
        bytes: Number(pages?.bytes),
        oldestMs: row?.oldest === null ? undefined : Number(row?.oldest),
      };
    },
    close: () => db.close(),
  };
}

/** A file belongs to the cluster that used it first. */
function claim(db: DatabaseSync, path: string, cluster: string): void {
  db.prepare("INSERT INTO meta (key, value) VALUES ('cluster', ?) ON CONFLICT (key) DO NOTHING").run(cluster);
  const owner = db.prepare("SELECT value FROM meta WHERE key = 'cluster'").get()?.value;
  if (owner === cluster) return;
  throw new AppError("history/refused", `the history ${path} belongs to cluster ${String(owner)}, not to ${cluster}`, {
    hint: "name another file in `history`, or check --etcd and --prefix",
  });
}

function listRecords(db: DatabaseSync, query: RecordQuery): RecordSlice {
  const { before, limit } = query;
  const search = query.text === undefined ? undefined : compileSearch(query.text);
  if (search?.isEmpty) return { records: [] };
  const untilMs = Math.min(
    query.untilMs ?? Number.MAX_SAFE_INTEGER,
    before === undefined ? Number.MAX_SAFE_INTEGER : before.endMs + 1,
    2 ** 42,
  );
  const bounds = [BigInt(Math.max(0, Math.floor(query.sinceMs ?? 0))) << SEQ_BITS, BigInt(Math.max(0, Math.ceil(untilMs))) << SEQ_BITS];
  const asked = askedColumns(query);
  let rows: Iterable<Record<string, unknown>>;
  if (search === undefined) {
    const where = ["seq >= ?", "seq < ?", ...asked.map(({ column }) => `${column} = ?`)].join(" AND ");
    const values: SQLInputValue[] = [...bounds, ...asked.map(({ value }) => value)];
    rows = db.prepare(`SELECT doc FROM records ${indexFor(query)} WHERE ${where} ORDER BY seq DESC`).iterate(...values);
  } else {
    const match = [
      ...search.words.map((word) => `"${word}"`),
      ...search.beginnings.map((word) => `"${indexedBeginning(word)}"*`),
      ...asked.map(({ column, value }) => `"${columnWord(column, value)}"`),
    ].join(" AND ");
    rows = db
      .prepare(
        "SELECT r.doc FROM words w CROSS JOIN records r ON r.seq = w.rowid WHERE words MATCH ? AND w.rowid >= ? AND w.rowid < ? ORDER BY w.rowid DESC",
      )
      .iterate(match, ...bounds);
  }
  return takePage(rows, before, limit, search?.test);
}

/** The index has lists for beginnings of so many letters; of others it would put one together from those of all words. What it finds too much fails the test. */
const PREFIXES = [4, 2];

function indexedBeginning(word: string): string {
  const letters = [...word];
  const length = PREFIXES.find((count) => count <= letters.length);
  return length === undefined ? word : letters.slice(0, length).join("");
}

/** The index that looks at the fewest rows: results that are not good are few, whatever else is asked; SQLite itself knows nothing of how many there are. */
function indexFor({ job, node, group, outcome }: RecordQuery): string {
  const index = outcome === undefined ? undefined : `records_${outcomeColumn(outcome).column}`;
  const isRare = index !== undefined && outcome !== "success" && outcome !== "exit" && outcome !== "exit:0";
  const chosen =
    job !== undefined ? "records_job" : isRare ? index : node !== undefined ? "records_node" : group !== undefined ? "records_grp" : index;
  return chosen === undefined ? "" : `INDEXED BY ${chosen}`;
}

/** Rows come by end time; those of one millisecond are put in order here, so a page ends only between milliseconds or inside of a known one. */
function takePage(
  rows: Iterable<Record<string, unknown>>,
  before: RecordQuery["before"],
  limit: number,
  test: (record: ExecutionRecord) => boolean = () => true,
): RecordSlice {
  const found: ExecutionRecord[] = [];
  let lookedAt = 0;
  let last: RecordQuery["before"];
  for (const row of rows) {
    const record = docOf<ExecutionRecord>(row);
    if (record === undefined) continue;
    const place = placeOf(record);
    if ((found.length > limit || lookedAt >= MAX_LOOKED_AT) && last !== undefined && place.endMs !== last.endMs) {
      const records = sorted(found).slice(0, limit);
      const end = found.length > limit ? records.at(-1) : undefined;
      return { records, next: end === undefined ? { endMs: last.endMs, id: "" } : placeOf(end) };
    }
    last = place;
    lookedAt += 1;
    if (before !== undefined && comparePlaces(place, before) <= 0) continue;
    if (test(record)) found.push(record);
  }
  const records = sorted(found).slice(0, limit);
  const end = records.at(-1);
  return found.length > limit && end !== undefined ? { records, next: placeOf(end) } : { records };
}

function sorted(records: ExecutionRecord[]): ExecutionRecord[] {
  return records.sort((a, b) => comparePlaces(placeOf(a), placeOf(b)));
}

type Asked = { readonly column: "job" | "grp" | "node" | "class" | "kind" | "word"; readonly value: string };

function askedColumns({ job, group, node, outcome }: RecordQuery): Asked[] {
  const asked: Asked[] = [];
  if (job !== undefined) asked.push({ column: "job", value: job });
  if (group !== undefined) asked.push({ column: "grp", value: group });
  if (node !== undefined) asked.push({ column: "node", value: node });
  if (outcome !== undefined) asked.push(outcomeColumn(outcome));
  return asked;
}

function columnWords({ job, group, node, kind, word, class: outcome }: RecordColumns): string[] {
  const values = { job, grp: group, node, class: outcome, kind, word };
  return Object.entries(values).map(([column, value]) => columnWord(column, value));
}

/** No word of a text has an underscore. */
function columnWord(column: string, value: string): string {
  return `_${column}${hash(value, 12)}`;
}

function hash(text: string, digits: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, digits);
}

function docOf<T>(row: Record<string, unknown> | undefined): T | undefined {
  return row === undefined ? undefined : (JSON.parse(String(row.doc)) as T);
}
