import test from "ava";
import { systemClock } from "../base/clock.ts";
import { isCode } from "../base/errors.ts";
import { KV_CONTRACT } from "./kv-contract.ts";
import { createMemoryStore } from "./memory-kv.ts";

for (const { name, run } of KV_CONTRACT) {
  test(name, async (t) => {
    const store = createMemoryStore({ clock: systemClock });
    await run({ kv: store.connect(), prefix: "/t/", connect: store.connect, compact: async (revision) => store.compact(revision) });
    t.pass();
  });
}

test("a cut connection: calls are unreachable, watches end, reconnect heals", async (t) => {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  const ended = new Promise((resolve) =>
    kv.watch({ start: "/", end: "0", fromRevision: 1 }, { onEvents() {}, onEnd: (end) => resolve(end.reason) }),
  );
  kv.disconnect();
  t.is(await ended, "error");
  const error = await t.throwsAsync(kv.get("/a"));
  t.true(isCode(error, "etcd/unreachable"));
  kv.reconnect();
  t.is(await kv.get("/a"), undefined);
});

test("a lost answer: the write is there, its outcome is unknown", async (t) => {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  kv.loseNextAnswer();
  const error = await t.throwsAsync(kv.txn({ then: [{ op: "put", key: "/a", value: "1" }] }));
  t.true(isCode(error, "etcd/unknown-outcome"));
  t.is((await kv.get("/a"))?.value, "1");
});

test("cut while the answer is on its way: a write has an unknown outcome", async (t) => {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  const before = store.revision();
  const failed = kv.txn({ then: [{ op: "put", key: "/a", value: "1" }] });
  while (store.revision() === before) await undefined;
  kv.disconnect();
  t.true(isCode(await t.throwsAsync(failed), "etcd/unknown-outcome"));
});
