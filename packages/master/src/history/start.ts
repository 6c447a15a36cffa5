/** The history that the settings ask for, with its archiver. */
import { type Archive, openArchive } from "./archive.ts";
import type { History } from "./history.ts";
import { createPostgresHistory } from "./postgres-history.ts";
import { type HistorySetting, sqlitePath } from "./setting.ts";
import { createSqliteHistory } from "./sqlite-history.ts";
import type { TailDeps } from "./tail.ts";

export type HistoryConfig = { readonly history: HistorySetting; readonly historyRetentionMs: number; readonly dataDir: string };

/** Undefined: off. Does not wait for the history to answer. Throws `config/invalid`. */
export function startHistory(
  deps: TailDeps,
  config: HistoryConfig,
  master: { cluster: string; isLeading(): boolean },
): Archive | undefined {
  const history = createHistory(deps, config);
  return history === undefined ? undefined : openArchive(deps, history, { ...master, retentionMs: config.historyRetentionMs });
}

function createHistory(deps: TailDeps, { history, dataDir }: HistoryConfig): History | undefined {
  switch (history.kind) {
    case "off":
      return undefined;
    case "sqlite":
      return createSqliteHistory(sqlitePath(history, dataDir));
    case "postgres":
      return createPostgresHistory(deps, history);
  }
}
