/** The thread that holds the SQLite file: one request after the other, in the order in which they come. Started by sqlite-history.ts. */
import { parentPort } from "node:worker_threads";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { FromSqlite, ToSqlite } from "./sqlite-protocol.ts";
import { openSqliteStore, type SqliteStore } from "./sqlite-store.ts";

let store: SqliteStore | undefined;

function perform({ call, args }: ToSqlite): unknown {
  if (call === "open") {
    store?.close();
    store = undefined;
    store = openSqliteStore(...(args as Parameters<typeof openSqliteStore>));
    return undefined;
  }
  if (store === undefined) throw new Error("the file is not open");
  return (store[call] as (...args: readonly unknown[]) => unknown)(...args);
}

parentPort?.on("message", (request: ToSqlite) => {
  const { id } = request;
  let answer: FromSqlite;
  try {
    answer = { id, ok: true, value: perform(request) };
  } catch (thrown) {
    const refused = thrown instanceof AppError ? { refused: true, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) } : {};
    answer = { id, ok: false, message: asError(thrown).message, ...refused };
  }
  parentPort?.postMessage(answer);
});
