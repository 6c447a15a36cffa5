import test from "ava";
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import type { Lock } from "fleetcron-shared/model/facts";
import type { Op } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import { judgeBusyLock } from "./busy-lock.ts";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import type { ClusterTick } from "./cluster-tick.ts";

/** A tick of now finds the lock with A; what follows happens before it looks again. */
async function setUp() {
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const kv = store.connect();
  const keys = createKeys("/fleetcron");
  const [lock, last] = [keys.lock("g", "j"), keys.lockLast("g", "j")];
  const lockOf = (execution: string, untilMs?: EpochMs): Lock => {
    return { v: 1, node: "n", execution, at: "", ...(untilMs === undefined ? {} : { delaysUntil: toIso(untilMs) }) };
  };
  const take = (execution: string): Op => ({ op: "put", key: lock, value: encode(lockOf(execution)) });
  const ended = (execution: string, atMs: EpochMs): Op => ({
    op: "put",
    key: last,
    value: encode({ v: 1, execution, endedAt: toIso(atMs) }),
  });
  const dueMs = clock.now();
  const tick = { job: { group: "g", id: "j" }, ruleId: "r1", dueMs } as unknown as ClusterTick;
  const judge = (delaysUntilMs?: EpochMs) =>
    judgeBusyLock({ kv, keys, clock } as unknown as ClusterGateDeps, tick, lockOf("A", delaysUntilMs));
  return { clock, store, dueMs, ended, judge, write: (op: Op) => kv.txn({ then: [op] }), take };
}

test("a holder that ended after the tick was due was in its way, however many have had the lock since", async (t) => {
  const { dueMs, ended, judge, write, take } = await setUp();
  await write(ended("A", dueMs + 500));
  t.is(await judge(), "overlap");
  await write(ended("B", dueMs + 600));
  await write(ended("C", dueMs + 700));
  await write(take("D"));
  t.is(await judge(), "overlap");
});

test("one that had ended before was not: the tick is delayed", async (t) => {
  const { dueMs, ended, judge, write } = await setUp();
  await write(ended("A", dueMs - 1));
  t.deepEqual(await judge(), { delayedUntilMs: dueMs });
  await write(ended("B", dueMs + 600));
  t.deepEqual(await judge(), { delayedUntilMs: dueMs });
});

test("what is due within as long again as it is late is delayed with it, and no more", async (t) => {
  const { clock, dueMs, ended, judge, write } = await setUp();
  await write(ended("A", dueMs - 1));
  await clock.advance(300);
  t.deepEqual(await judge(), { delayedUntilMs: dueMs + 600 });
});

test("behind a holder that works off what was delayed it is delayed, if it is due in time for that", async (t) => {
  const { clock, dueMs, judge, write, take } = await setUp();
  await write(take("A"));
  t.deepEqual(await judge(dueMs + 1), { delayedUntilMs: dueMs + 1 });
  const judged = judge(dueMs);
  await clock.advance(5000);
  t.is(await judged, "overlap");
});

test("when nobody knows any more, the tick is delayed", async (t) => {
  const { store, dueMs, ended, judge, write } = await setUp();
  t.deepEqual(await judge(), { delayedUntilMs: dueMs }, "its session ended");
  await write(ended("A", dueMs + 500));
  await write(ended("B", dueMs + 600));
  store.compact();
  t.deepEqual(await judge(), { delayedUntilMs: dueMs });
});
