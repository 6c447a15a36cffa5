import test from "ava";
import { systemClock } from "../base/clock.ts";
import { AppError, isCode } from "../base/errors.ts";
import type { Kv, TxnResult } from "./kv.ts";
import { absent, exists, unchanged } from "./kv.ts";
import { acquireLock } from "./lock.ts";
import { createMemoryStore } from "./memory-kv.ts";
import { settleTxn } from "./settle.ts";

async function setup() {
  const store = createMemoryStore({ clock: systemClock });
  const [a, b] = [store.connect(), store.connect()];
  const mine = (await a.grantLease(1000)).lease;
  const theirs = (await b.grantLease(1000)).lease;
  return { store, a, b, mine, theirs };
}

test("one holder; the loser learns who; the fence is the create revision", async (t) => {
  const { store, a, b, mine, theirs } = await setup();
  const won = await acquireLock(a, { key: "/l", value: "a", lease: mine });
  t.deepEqual(won, { acquired: true, fence: store.revision() });
  const lost = await acquireLock(b, { key: "/l", value: "b", lease: theirs });
  t.true(!lost.acquired && lost.holder?.value === "a");
  t.deepEqual(await acquireLock(a, { key: "/l", value: "a", lease: mine }), won, "again, by the same holder");
  const other = await acquireLock(a, { key: "/l", value: "another", lease: mine });
  t.false(other.acquired, "the same lease with another value is another holder");
  await a.revokeLease(mine);
  t.true((await acquireLock(b, { key: "/l", value: "b", lease: theirs })).acquired);
  await b.revokeLease(theirs);
});

test("further conditions and writes belong to the same transaction", async (t) => {
  const { a, b, mine, theirs } = await setup();
  const refused = await acquireLock(a, { key: "/l", value: "a", lease: mine, and: { if: [exists("/claim")], then: [] } });
  t.deepEqual(refused, { acquired: false, holder: undefined });
  const won = await acquireLock(a, {
    key: "/l",
    value: "a",
    lease: mine,
    and: { if: [absent("/claim")], then: [{ op: "put", key: "/claim", value: "1" }] },
  });
  t.true(won.acquired && (await a.get("/claim"))?.createRevision === won.fence);
  await a.revokeLease(mine);
  await b.revokeLease(theirs);
});

test("a lost answer is read back: the lock is ours with the right fence", async (t) => {
  const { a, b, mine, theirs } = await setup();
  a.loseNextAnswer();
  const won = await acquireLock(a, { key: "/l", value: "a", lease: mine });
  t.true(won.acquired && won.fence === (await a.get("/l"))?.createRevision);
  b.loseNextAnswer();
  const lost = await acquireLock(b, { key: "/l", value: "b", lease: theirs });
  t.true(!lost.acquired && lost.holder?.value === "a");
  await a.revokeLease(mine);
  await b.revokeLease(theirs);
});

/** Reads back whether our value is there. */
const confirmOn = (kv: Kv) => async (): Promise<TxnResult | undefined> => {
  const found = await kv.get("/n");
  return found?.value === "mine" ? { succeeded: true, revision: found.modRevision, results: [{ op: "put" }] } : undefined;
};

test("settle: an applied write whose answer was lost is not written twice", async (t) => {
  const { store, a } = await setup();
  const before = store.revision();
  a.loseNextAnswer();
  const result = await settleTxn(a, { if: [absent("/n")], then: [{ op: "put", key: "/n", value: "mine" }] }, confirmOn(a));
  t.true(result.succeeded);
  t.is(store.revision(), before + 1);
});

test("settle: a write that is not there is tried again", async (t) => {
  const { a } = await setup();
  let calls = 0;
  const flaky: Pick<Kv, "txn"> = {
    async txn(txn) {
      calls += 1;
      if (calls > 1) return a.txn(txn);
      throw new AppError("etcd/unknown-outcome", "lost on the way to etcd");
    },
  };
  const result = await settleTxn(flaky, { if: [absent("/n")], then: [{ op: "put", key: "/n", value: "mine" }] }, confirmOn(a));
  t.true(result.succeeded);
  t.is(calls, 2);
});

test("settle: a first attempt that arrives late is recognised as ours", async (t) => {
  const { a } = await setup();
  const txn = { if: [unchanged("/n", 0)], then: [{ op: "put", key: "/n", value: "mine" } as const] };
  let confirms = 0;
  const confirm = confirmOn(a);
  a.loseNextAnswer();
  const result = await settleTxn(a, txn, async () => {
    confirms += 1;
    return confirms === 1 ? undefined : confirm();
  });
  t.true(result.succeeded);
  t.is(confirms, 2);
});

test("settle: when reading back fails the outcome stays unknown", async (t) => {
  const { a } = await setup();
  a.loseNextAnswer();
  const error = await t.throwsAsync(
    settleTxn(a, { then: [{ op: "put", key: "/n", value: "mine" }] }, async () => {
      throw new Error("away");
    }),
  );
  t.true(isCode(error, "etcd/unknown-outcome"));
});
