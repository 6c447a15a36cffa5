import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { JobStats, Order } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys, newId, put, someRecord } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";

const job = (rest: string) => ({
  files: [
    {
      name: "j.yaml",
      text: `jobs:\n  g/j: { run: { command: { script: "true" } }, rules: [{ mode: cycle, timer: "@hourly" }], ${rest} }\n`,
    },
  ],
});

async function valuesOf<T>(kv: Kv, prefix: string): Promise<T[]> {
  return (await kv.range(prefixRange(prefix))).kvs.map((entry) => JSON.parse(entry.value) as T);
}

const statsOf = async (kv: Kv) => JSON.parse((await kv.get(keys.stats("g", "j")))?.value ?? "{}") as JobStats;

test("each record is filed once while leaders are killed, and redelivered ones do not count again", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const args = ["--session-ttl", "2s"];
  await using first = await startMasterProcess({ ...etcd, args });
  await using second = await startMasterProcess({ ...etcd, args, token: first.token });
  await first.ask("POST", "/apply", job("retain: { count: 1000 }"));
  const agent = await joinFleet(kv, "a");
  const records = Array.from({ length: 400 }, () => someRecord("a", "g/j"));
  for (const [at, record] of records.entries()) {
    await agent.deliver(record);
    if (at === 200) await first.kill();
  }
  await eventually("the inbox is empty", async () => (await valuesOf(kv, keys.inbox)).length === 0);
  t.is((await valuesOf(kv, keys.records)).length, 400);
  t.is((await statsOf(kv)).successCount, 400);

  for (const record of records.slice(0, 100)) await agent.deliver(record);
  await eventually("the inbox is empty again", async () => (await valuesOf(kv, keys.inbox)).length === 0);
  t.is((await statsOf(kv)).successCount, 400, "a replay is no second success");
  const page = await second.ask<{ items: ExecutionRecord[]; next: string }>("GET", "/records?limit=30");
  t.deepEqual(
    page.body.items.map(({ id }) => id),
    records
      .slice(-30)
      .reverse()
      .map(({ id }) => id),
  );
  t.true(page.body.items.every(({ isHandled }) => isHandled));
  t.is((await second.ask("GET", `/records/${records[7]!.id}`)).body.id, records[7]!.id);
  await kv.close();
});

test("a vanished node's executions are lost once, rerun once, and its own record replaces the verdict", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess({ ...etcd, args: ["--lost-after", "300ms"] });
  await master.ask("POST", "/apply", job("kind: interval, onNodeLost: rerun"));
  const a = await joinFleet(kv, "a");
  await joinFleet(kv, "b");
  const dueMs = Math.floor(systemClock.now() / 3_600_000) * 3_600_000;
  const [claimed, running, done] = [newId(), newId(), newId()];
  await a.claim("g/j", "r1", dueMs, claimed);
  await a.claim("g/j", "r1", dueMs - 3_600_000, running);
  await a.proc("g/j", {
    execution: running,
    attempt: 1,
    pid: 77,
    startedAt: toIso(systemClock.now()),
    ruleId: "r1",
    dueAt: toIso(dueMs - 3_600_000),
  });
  await a.claim("g/j", "r1", dueMs - 7_200_000, done);
  await a.deliver(someRecord("a", "g/j", { execution: done }));
  await eventually("the process is seen", async () => (await master.ask<{ items: object[] }>("GET", "/procs")).body.items.length === 1);
  await a.vanish();

  const filed = await eventually("two are lost", async () => {
    const all = await valuesOf<ExecutionRecord>(kv, keys.records);
    return all.length === 3 && all;
  });
  const lost = filed.filter(({ outcome }) => outcome.type === "lost");
  t.deepEqual(lost.map(({ execution }) => execution).sort(), [claimed, running].sort());
  t.true(lost.every(({ provisional, finalAttempt }) => provisional === true && !finalAttempt));
  const orders = (await valuesOf<Order>(kv, keys.ordersOf("b"))).filter((order) => order.type === "run");
  t.deepEqual(orders.map((order) => order.rerun?.of).sort(), [claimed, running].sort());
  t.is(orders.find((order) => order.rerun?.of === claimed)?.rerun?.dueAt, toIso(dueMs));
  t.like(await statsOf(kv), { lostCount: 2, successCount: 1 });
  const why = await master.ask("GET", `/jobs/g/j/why?at=${toIso(dueMs)}`);
  t.like(why.body, { verdict: "lost", reason: "nodeGone" });

  const truth = someRecord("a", "g/j", { execution: running });
  await a.deliver(truth);
  await eventually(
    "the truth is filed",
    async () => !(JSON.parse((await kv.get(keys.record("g", "j", truth.id)))!.value) as ExecutionRecord).provisional,
  );
  t.like(await statsOf(kv), { lostCount: 1, successCount: 2 });
  t.is((await valuesOf(kv, keys.ordersOf("b"))).length, 2);
  await kv.close();
});

test("what a new leader finds: claims of a node that was gone before it led", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const a = await joinFleet(kv, "a");
  const execution = newId();
  await a.claim("g/j", "r1", 0, execution);
  await a.claim("g/k", "r1", 0, newId());
  await put(kv, keys.claim("g", "k", "r1", 0), JSON.stringify({ v: 1, node: "a", execution: newId(), at: toIso(0), verdict: "isolated" }));
  await a.vanish();
  await using master = await startMasterProcess({ ...etcd, args: ["--lost-after", "100ms"] });
  const [record] = await eventually("the claim is lost", async () => {
    const all = await valuesOf<ExecutionRecord>(kv, keys.records);
    return all.length > 0 && all;
  });
  t.like(record!, { execution, provisional: true, finalAttempt: true, ruleId: "r1", dueAt: toIso(0) });
  t.is((await master.ask<{ items: object[] }>("GET", "/records?outcome=lost")).body.items.length, 1);
  await kv.close();
});

test("what a node had begun before it came back without its memory is lost, and nothing else", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess({ ...etcd, args: ["--lost-after", "1s"] });
  await master.ask("POST", "/apply", job("kind: interval"));
  const before = await joinFleet(kv, "a");
  const [claimed, delivered, ordered, survived, renewed] = [newId(), newId(), newId(), newId(), newId()];
  const proc = (execution: string, pid: number) => ({ execution, attempt: 1, pid, startedAt: toIso(systemClock.now()) });
  await before.claim("g/j", "r1", 0, claimed);
  await before.claim("g/j", "r1", 3_600_000, delivered);
  await before.claim("g/j", "r1", 7_200_000, survived);
  await before.proc("g/j", proc(ordered, 77));
  await eventually("the process is seen", async () => (await master.ask<{ items: object[] }>("GET", "/procs")).body.items.length === 1);
  await before.vanish();
  await eventually("it is gone", async () => (await master.ask("GET", "/nodes/a")).body.online === false);

  const after = await joinFleet(kv, "a");
  await after.claim("g/j", "r1", 10_800_000, renewed);
  await after.proc("g/j", proc(survived, 78));
  await after.deliver(someRecord("a", "g/j", { execution: delivered }));
  const lost = await eventually("two are lost", async () => {
    const all = (await valuesOf<ExecutionRecord>(kv, keys.records)).filter(({ outcome }) => outcome.type === "lost");
    return all.length >= 2 && all;
  });
  t.deepEqual(lost.map(({ execution }) => execution).sort(), [claimed, ordered].sort());
  t.true(lost.every(({ provisional, nodeId }) => provisional === true && nodeId === "a"));
  t.like(await statsOf(kv), { lostCount: 2, successCount: 1 });
  await after.vanish();
  await kv.close();
});
