import test from "ava";
import { AppError } from "fleetcron-shared/base/errors";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import type { Job } from "fleetcron-shared/model/job";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import type { ActiveExecution } from "../run/executions.ts";
import { Leftovers } from "./leftovers.ts";

const LOST = new AppError("etcd/unknown-outcome", "the connection to etcd broke before the answer came");
const JOB = { group: "g", id: "j", kind: "alone" } as Job;

function setUp() {
  const clock = createManualClock();
  const kv = createMemoryStore({ clock }).connect();
  const keys = createKeys("/fleetcron");
  const open = new Map<string, Partial<ActiveExecution>>();
  const executions = { get: (id: string) => open.get(id) as ActiveExecution | undefined, isOpen: (id: string) => open.has(id) };
  const stop = new AbortController();
  const leftovers = new Leftovers({ kv, clock, keys, log: silentLog, executions, stopping: stop.signal });
  const put = (key: string, execution: string) =>
    kv.txn({ then: [{ op: "put", key, value: encode({ v: 1, node: "n", execution, at: "" }) }] });
  const has = async (key: string) => (await kv.get(key)) !== undefined;
  return { clock, kv, open, leftovers, put, has, stop, lock: keys.lock("g", "j"), next: keys.lockNext("g", "j") };
}

test("the lock and the place of an execution that ended without knowing of them are given back, those of others stay", async (t) => {
  const { clock, open, leftovers, put, has, lock, next } = setUp();
  open.set("A", {});
  await put(lock, "A");
  await put(next, "A");
  leftovers.missed(LOST, "A", JOB);
  await clock.advance(30_000);
  t.true(await has(lock), "it still asks");
  open.delete("A");
  await clock.advance(3000);
  t.false(await has(lock));
  t.false(await has(next));
  await put(lock, "B");
  await clock.advance(30_000);
  t.true(await has(lock));
});

test("a write that arrives after the end is found, too", async (t) => {
  const { clock, leftovers, put, has, lock } = setUp();
  leftovers.missed(LOST, "A", JOB);
  await clock.advance(10_000);
  await put(lock, "A");
  await clock.advance(2000);
  t.false(await has(lock));
});

test("etcd away: it is looked at when etcd is back", async (t) => {
  const { clock, kv, leftovers, put, has, lock } = setUp();
  await put(lock, "A");
  leftovers.missed(LOST, "A", JOB);
  kv.disconnect();
  await clock.advance(60_000);
  kv.reconnect();
  await clock.advance(2000);
  t.false(await has(lock));
});

test("nothing is looked at when nothing is in doubt: the lock is known, the answer was clear, the job is not alone", async (t) => {
  const { clock, open, leftovers, put, has, lock } = setUp();
  await put(lock, "A");
  open.set("A", { lock: { key: lock, fence: 1, epoch: 1 } });
  leftovers.missed(LOST, "A", JOB);
  await clock.advance(2000);
  open.delete("A");
  leftovers.missed(new AppError("etcd/unreachable", "away"), "A", JOB);
  leftovers.missed(LOST, "A", { ...JOB, kind: "interval" });
  await clock.advance(30_000);
  t.true(await has(lock));
});
