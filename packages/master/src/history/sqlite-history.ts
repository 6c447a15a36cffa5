/**
 * The history as an SQLite file in a thread of its own, because SQLite waits for the disk and the main thread renews the leader's session. Should the
 * thread die, what it had in hand fails, and `open` starts another. A full or broken disk fails calls with `history/away`; nothing is half stored.
 */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { AppError } from "fleetcron-shared/base/errors";
import type { History } from "./history.ts";
import type { FromSqlite, ToSqlite } from "./sqlite-protocol.ts";
import type { SqliteStore } from "./sqlite-store.ts";

type Request = { resolve(value: unknown): void; reject(error: AppError): void };

export function createSqliteHistory(path: string): History {
  const requests = new Map<number, Request>();
  let requested = 0;
  let closed = false;
  let worker: Worker | undefined;

  function start(): Worker {
    const started = new Worker(new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url));
    let why = "its thread ended";
    started.unref();
    started.on("message", receive);
    started.once("error", (error) => {
      why = error.message;
    });
    started.once("exit", () => {
      if (worker !== started) return;
      worker = undefined;
      rejectAll(away(why));
    });
    return started;
  }

  function rejectAll(error: AppError): void {
    for (const { reject } of requests.values()) reject(error);
    requests.clear();
  }

  function away(why: string): AppError {
    return new AppError("history/away", `the history ${path} cannot be used: ${why}`, {
      hint: "look at the disk and the rights of the file",
    });
  }

  function receive(message: FromSqlite): void {
    const request = requests.get(message.id);
    requests.delete(message.id);
    if (message.ok) return request?.resolve(message.value);
    const { hint } = message;
    request?.reject(
      message.refused ? new AppError("history/refused", message.message, hint === undefined ? {} : { hint }) : away(message.message),
    );
  }

  function ask<C extends keyof SqliteStore>(call: C, ...args: Parameters<SqliteStore[C]>): Promise<Awaited<ReturnType<SqliteStore[C]>>> {
    return send(call, args) as Promise<Awaited<ReturnType<SqliteStore[C]>>>;
  }

  function send(call: ToSqlite["call"], args: readonly unknown[]): Promise<unknown> {
    if (worker === undefined) return Promise.reject(away(closed ? "the master is stopping" : "it is not open"));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = ++requested;
    requests.set(id, { resolve, reject });
    worker.postMessage({ id, call, args } satisfies ToSqlite);
    return promise;
  }

  return {
    kind: "sqlite",
    isShared: false,
    where: path,
    async open(cluster) {
      if (closed) throw away("the master is stopping");
      worker ??= start();
      await send("open", [path, cluster]);
    },
    position: () => ask("position"),
    append: (batch) => ask("append", batch),
    records: (query) => ask("records", query),
    record: (id) => ask("record", id),
    recordsOf: (execution) => ask("recordsOf", execution),
    runs: (query) => ask("runs", query),
    run: (id) => ask("run", id),
    expire: (beforeMs) => ask("expire", beforeMs),
    facts: () => ask("facts"),
    async close() {
      if (closed) return;
      closed = true;
      if (worker === undefined) return;
      await ask("close").catch(() => {});
      const ending = worker;
      worker = undefined;
      await ending?.terminate();
      // Asked for behind the end: nobody will answer.
      rejectAll(away("the master is stopping"));
    },
  };
}
