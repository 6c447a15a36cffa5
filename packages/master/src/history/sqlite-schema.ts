/** The tables of the SQLite history, one step per version; a file of any earlier version is brought up to date. Never change a step that was released: add one. */
import type { DatabaseSync } from "node:sqlite";
import { AppError } from "fleetcron-shared/base/errors";

/**
 * `seq` is the end time in milliseconds, shifted by 20 bits, plus what tells equal ones apart: rows are stored in the order in which they are listed, and every
 * index ends with it. Indexes carry the columns that are filtered by beside theirs, so that rows which do not pass are not read.
 * `words`: rowid = seq; no text is stored twice. Beside the words of the text it has the record's columns as words (`_j…`), because a common word and a
 * rare job are found by intersecting lists, not by reading rows. `prefix`: lists of their own for words that begin alike (PREFIXES in sqlite-store.ts).
 */
export const SQLITE_MIGRATIONS: readonly string[] = [
  `CREATE TABLE records (
     seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL, grp TEXT NOT NULL, node TEXT NOT NULL,
     class TEXT NOT NULL, kind TEXT NOT NULL, word TEXT NOT NULL, provisional INTEGER NOT NULL, doc TEXT NOT NULL
   ) STRICT;
   CREATE INDEX records_job ON records (job, seq, class, kind, word, node);
   CREATE INDEX records_node ON records (node, seq, class, kind, word, grp);
   CREATE INDEX records_grp ON records (grp, seq, class, kind, word, node);
   CREATE INDEX records_class ON records (class, seq, node, grp);
   CREATE INDEX records_kind ON records (kind, seq, node, grp);
   CREATE INDEX records_word ON records (word, seq, node, grp);
   CREATE VIRTUAL TABLE words USING fts5(
     texts, content = '', contentless_delete = 1, detail = none, prefix = '2 4', tokenize = "unicode61 remove_diacritics 0 tokenchars '_'"
   );`,
  `CREATE TABLE runs (
     id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, state TEXT NOT NULL, ended_ms INTEGER NOT NULL, revision INTEGER NOT NULL,
     doc TEXT NOT NULL, plan TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX runs_pipeline ON runs (pipeline, id);
   CREATE INDEX runs_state ON runs (state, id);
   CREATE INDEX runs_ended ON runs (ended_ms);`,
];

/** Brings the file to `migrations.length`; a step happens as a whole. Throws `history/refused` for a file of a later version. */
export function migrateSqlite(db: DatabaseSync, migrations: readonly string[] = SQLITE_MIGRATIONS): void {
  if (versionOf(db) === migrations.length) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    const version = versionOf(db);
    if (version > migrations.length) {
      throw new AppError(
        "history/refused",
        `the history was written by a later version of Fleetcron (tables of version ${version}, this one knows ${migrations.length})`,
        {
          hint: "upgrade this master, or name another file in `history`",
        },
      );
    }
    if (version === 0) db.exec("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
    for (const step of migrations.slice(version)) db.exec(step);
    db.exec(`PRAGMA user_version = ${migrations.length}; COMMIT`);
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version ?? 0);
}
