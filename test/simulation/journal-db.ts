/**
 * The database of a simulated host's journal: real SQLite in memory, which survives the process that has it open. What was not committed when the
 * process died is undone, and what it says afterwards is not heard.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { JOURNAL_SCHEMA, type JournalDb } from "../../packages/agent/src/run/journal.ts";
import type { SimProcess } from "./process.ts";

export type JournalFile = {
  /** For one process. */
  open(process: SimProcess): JournalDb;
  /** Rows that are left, by table. */
  counts(): Record<string, number>;
  close(): void;
};

export function createJournalFile(): JournalFile {
  const db = new DatabaseSync(":memory:");
  db.exec(JOURNAL_SCHEMA);
  const parsed = new Map<string, StatementSync>();
  /** What is run again and again is parsed once. */
  const exec = (sql: string) => {
    const statement = parsed.get(sql) ?? db.prepare(sql);
    parsed.set(sql, statement);
    statement.run();
  };
  return {
    open(process) {
      let isOpen = true;
      const end = () => {
        isOpen = false;
        if (db.isTransaction) db.exec("rollback");
      };
      process.onDeath(end);
      return {
        exec: (sql) => {
          if (isOpen) exec(sql);
        },
        close: () => {
          isOpen = false;
        },
        get isTransaction() {
          return isOpen && db.isTransaction;
        },
        prepare(sql) {
          const statement = db.prepare(sql);
          return {
            all: (...values) => (isOpen ? statement.all(...(values as string[])) : []),
            get: (...values) => (isOpen ? statement.get(...(values as string[])) : undefined),
            run: (...values) => (isOpen ? statement.run(...(values as string[])) : { changes: 0, lastInsertRowid: 0 }),
          };
        },
      };
    },
    counts() {
      const count = (table: string) => Number(db.prepare(`select count(*) as n from ${table}`).get()?.n);
      return Object.fromEntries(["executions", "outbox", "orders", "rules"].map((table) => [table, count(table)]));
    },
    close: () => db.close(),
  };
}
