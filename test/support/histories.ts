/** Both adapters of the history for the same tests, and records to put into them. */
import { join } from "node:path";
import type { History } from "fleetcron/history/history";
import { createPostgresHistory } from "fleetcron/history/postgres-history";
import { parseHistory } from "fleetcron/history/setting";
import { createSqliteHistory } from "fleetcron/history/sqlite-history";
import { toIso } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { newId, someRecord } from "./fake-agent.ts";

export function sqliteIn(folder: string, name = "history.db"): History {
  return createSqliteHistory(join(folder, name));
}

export function postgresAt(url: string): History {
  const setting = parseHistory(url);
  if (setting.kind !== "postgres") throw new Error(`${url} is none`);
  return createPostgresHistory({ log: silentLog }, setting);
}

/** A filed record that ended then. */
export function endedAt(endMs: number, more: Partial<ExecutionRecord> = {}, job = "g/j", node = "a"): ExecutionRecord {
  const execution = newId(endMs);
  const times = { beginTime: toIso(endMs - 1000), endTime: toIso(endMs), handleTime: toIso(endMs + 50), isHandled: true };
  return { ...someRecord(node, job, { execution, id: `${execution}-1`, ...more }), ...times, ...more };
}
