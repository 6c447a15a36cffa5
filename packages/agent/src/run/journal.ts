/**
 * The agent's memory across its own death: executions in flight, what each rule has handled, orders seen, records not delivered yet.
 * One SQLite file in the data folder (write-ahead log: a killed process loses nothing that was committed; a power cut may lose the last
 * moments, never the file). Writes gather in one transaction until `commit`, which callers await before they act on them.
 * The file is locked: two agents cannot share a data folder.
 * A full disk: the file holds free pages in reserve, so there is mostly room all the same; when there is none, what was written stays in memory, is
 * tried again every second, and meanwhile `refusal` says so. Records are delivered to etcd regardless.
 */
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Clock, EpochMs } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { RuleState, RuleStates } from "../plan/planner.ts";

/** A row per record that is not delivered yet. `data` is JSON of the owner. */
export type JournalRow = { readonly id: string; readonly data: string };

/** A row per execution that has begun and whose last record is not in the outbox yet. `job` (written once) and `data` are JSON of the owner. */
export type ExecutionRow = JournalRow & { readonly job: string };

const REMEMBER_SUCCESS_MS = 366 * 86_400_000;
/** Free pages that the file is made with: some thousand records. */
const RESERVE_BYTES = 4 * 2 ** 20;
const RETRY_MS = 1000;
const SQLITE_FULL = 13;

/** What the journal needs of its database. */
export type JournalDb = Pick<DatabaseSync, "exec" | "close" | "isTransaction"> & { prepare(sql: string): JournalStatement };
export type JournalStatement = Pick<StatementSync, "all" | "get" | "run">;

type Write = { readonly sql: string; readonly values: readonly (string | number | null)[] };

export const JOURNAL_SCHEMA = `
create table if not exists meta (name text primary key, value text not null) without rowid;
create table if not exists rules (rule text primary key, job_created real not null, handled real not null, succeeded integer not null, boot text) without rowid;
create table if not exists executions (id text primary key, job text not null, data text not null) without rowid;
create table if not exists outbox (id text primary key, data text not null) without rowid;
create table if not exists orders (id text primary key, expires real not null) without rowid;
`;

export class Journal implements RuleStates {
  readonly #db: JournalDb;
  readonly #rules = new Map<string, RuleState>();
  readonly #statements = new Map<string, JournalStatement>();
  readonly #after: (ms: number, fn: () => void) => void;
  /** Since the last commit. */
  #uncommitted: Write[] = [];
  #refusal: string | undefined;
  #closed = false;
  #committed: Promise<void> | undefined;

  /** What nobody commits in the same turn of the event loop is committed `after` it. */
  constructor(db: JournalDb, after: (ms: number, fn: () => void) => void) {
    this.#db = db;
    this.#after = after;
    for (const row of db.prepare("select rule, job_created, handled, succeeded, boot from rules").all()) {
      this.#rules.set(String(row.rule), {
        jobCreatedMs: Number(row.job_created),
        handledMs: Number(row.handled),
        succeeded: row.succeeded === 1,
        bootId: row.boot === null ? undefined : String(row.boot),
      });
    }
  }

  /** Why nothing survives this process at the moment, if so. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  meta(name: string): string | undefined {
    const row = this.#statement("select value from meta where name = ?").get(name);
    return row === undefined ? undefined : String(row.value);
  }

  setMeta(name: string, value: string): void {
    this.#write("insert into meta values (?, ?) on conflict (name) do update set value = excluded.value", name, value);
  }

  get(ruleKey: string): RuleState | undefined {
    return this.#rules.get(ruleKey);
  }

  set(ruleKey: string, state: RuleState): void {
    this.#rules.set(ruleKey, state);
    this.#write(
      "insert into rules values (?, ?, ?, ?, ?) on conflict (rule) do update set job_created = excluded.job_created, handled = excluded.handled, succeeded = excluded.succeeded, boot = excluded.boot",
      ruleKey,
      state.jobCreatedMs,
      state.handledMs,
      state.succeeded ? 1 : 0,
      state.bootId ?? null,
    );
  }

  /** Forgets the rules of jobs that `keep` (given `group/id`) does not accept; an `onlyonce` success only after a year: the job may come back to this node. */
  forgetRules(keep: (jobKey: string) => boolean, nowMs: EpochMs): void {
    for (const [rule, state] of [...this.#rules]) {
      if (keep(rule.slice(0, rule.lastIndexOf("/")))) continue;
      if (state.succeeded && state.handledMs > nowMs - REMEMBER_SUCCESS_MS) continue;
      this.#rules.delete(rule);
      this.#write("delete from rules where rule = ?", rule);
    }
  }

  beginExecution(id: string, job: object, data: object): void {
    this.#write(
      "insert into executions values (?, ?, ?) on conflict (id) do update set job = excluded.job, data = excluded.data",
      id,
      JSON.stringify(job),
      JSON.stringify(data),
    );
  }

  putExecution(id: string, data: object): void {
    this.#write("update executions set data = ? where id = ?", JSON.stringify(data), id);
  }

  removeExecution(id: string): void {
    this.#write("delete from executions where id = ?", id);
  }

  hasExecution(id: string): boolean {
    return this.#statement("select 1 from executions where id = ?").get(id) !== undefined;
  }

  executions(): ExecutionRow[] {
    return this.#statement("select id, job, data from executions order by id")
      .all()
      .map((row) => ({ id: String(row.id), job: String(row.job), data: String(row.data) }));
  }

  putOutbox(id: string, data: object): void {
    this.#write("insert into outbox values (?, ?) on conflict (id) do update set data = excluded.data", id, JSON.stringify(data));
  }

  removeOutbox(id: string): void {
    this.#write("delete from outbox where id = ?", id);
  }

  outbox(): JournalRow[] {
    return this.#rows("select id, data from outbox order by id");
  }

  hasSeenOrder(id: string): boolean {
    return this.#statement("select 1 from orders where id = ?").get(id) !== undefined;
  }

  markOrderSeen(id: string, expiresMs: number, nowMs: number): void {
    this.#write("delete from orders where expires < ?", nowMs);
    this.#write("insert into orders values (?, ?) on conflict (id) do nothing", id, expiresMs);
  }

  /** Makes everything written so far survive the death of this process; on a full disk as soon as there is room. */
  commit(): void {
    if (this.#refusal === undefined) this.#commit();
  }

  #commit(): void {
    if (this.#uncommitted.length === 0) return;
    try {
      this.#db.exec("commit");
      this.#uncommitted = [];
      this.#refusal = undefined;
    } catch (thrown) {
      if ((thrown as { errcode?: unknown }).errcode !== SQLITE_FULL) throw thrown;
      this.#refusal = "the disk is full: the journal cannot be written";
      this.#again();
    }
  }

  /** Resolves when everything written so far is committed, or cannot be for lack of room; all callers of one turn share one commit. */
  committed(): Promise<void> {
    this.#committed ??= Promise.resolve().then(() => {
      this.#committed = undefined;
      this.commit();
    });
    return this.#committed;
  }

  close(): void {
    this.#closed = true;
    this.#commit();
    this.#db.close();
  }

  #write(sql: string, ...values: (string | number | null)[]): void {
    if (this.#uncommitted.length === 0) {
      this.#db.exec("begin");
      this.#after(0, () => this.commit());
    }
    this.#uncommitted.push({ sql, values });
    this.#statement(sql).run(...values);
  }

  /** A commit that failed for lack of room has undone its transaction: everything once more, to be committed later. */
  #again(): void {
    if (!this.#db.isTransaction) {
      this.#db.exec("begin");
      for (const { sql, values } of this.#uncommitted) this.#statement(sql).run(...values);
    }
    if (!this.#closed) this.#after(RETRY_MS, () => this.#closed || this.#commit());
  }

  #rows(sql: string): JournalRow[] {
    return this.#statement(sql)
      .all()
      .map((row) => ({ id: String(row.id), data: String(row.data) }));
  }

  #statement(sql: string): JournalStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Grows the file and its write-ahead log ahead of need, once: pages that are free in them need no room on the disk. Without room it goes without. */
function reserve(db: DatabaseSync): void {
  try {
    const value = "z".repeat(RESERVE_BYTES);
    db.prepare("insert into meta values ('reserve', ?) on conflict (name) do update set value = excluded.value").run(value);
  } catch (thrown) {
    if ((thrown as { errcode?: unknown }).errcode !== SQLITE_FULL) throw thrown;
  }
  db.exec("delete from meta where name = 'reserve'");
}

/** Opens (or makes) `journal.db` in the data folder; refused while another process holds it. */
export function openJournal(deps: { clock: Pick<Clock, "after"> }, dataDir: string): Journal {
  const path = join(dataDir, "journal.db");
  try {
    const db = new DatabaseSync(path);
    db.exec("pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal; pragma cache_spill = off;");
    db.exec(JOURNAL_SCHEMA);
    db.exec("begin immediate; commit");
    reserve(db);
    return new Journal(db, (ms, fn) => void deps.clock.after(ms, fn));
  } catch (thrown) {
    const error = asError(thrown);
    const busy = /locked|busy/i.test(error.message);
    throw new AppError(
      "config/data-dir",
      busy ? `another agent is using the data folder ${dataDir}` : `cannot open ${path}: ${error.message}`,
      {
        cause: thrown,
        hint: busy ? "stop it first, or give this agent a --data-dir of its own" : "check the folder's owner, permissions and free space",
      },
    );
  }
}
