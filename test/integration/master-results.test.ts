/** What the leader makes of results: globals, conditions of nodes and orders, once each, whoever leads; and how they are shown and set. */
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { Order } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import type { GlobalView } from "../../packages/master/src/http/global-schema.ts";
import type { NodeView } from "../../packages/master/src/http/node-schema.ts";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys, put, someRecord } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";

const jobs = (rest = "") => ({
  files: [
    {
      name: "j.yaml",
      text: ["j", "k"]
        .map((id) => `  g/${id}: { run: { command: { script: "true" } }, rules: [{ mode: cycle, timer: "@hourly" }]${rest} }\n`)
        .reduce((all, one) => all + one, "jobs:\n"),
    },
  ],
});

async function valuesOf<T>(kv: Kv, prefix: string): Promise<T[]> {
  return (await kv.range(prefixRange(prefix))).kvs.map((entry) => JSON.parse(entry.value) as T);
}
const filed = (kv: Kv, count: number) =>
  eventually(`${count} records are filed`, async () => {
    const all = await valuesOf<ExecutionRecord>(kv, keys.records);
    return all.length === count && (await valuesOf(kv, keys.inbox)).length === 0 && all;
  });
const ago = (ms: number) => toIso(systemClock.now() - ms);

test("a result brings about what it says, once, and shows where people look", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess(etcd);
  await master.ask("POST", "/apply", jobs());
  const a = await joinFleet(kv, "a");
  await joinFleet(kv, "b");
  const globals = async () =>
    (await master.ask<{ items: GlobalView[] }>("GET", "/globals")).body.items.map(({ name, value }) => `${name}=${value}`);
  await eventually("the nodes are known", async () => (await master.ask<{ items: object[] }>("GET", "/nodes")).body.items.length === 2);

  const record = someRecord("a", "g/j", {
    endTime: ago(60_000),
    result: {
      outputs: { version: "7" },
      globals: { ADDR: "10.0.0.1" },
      conditions: [{ type: "Init", status: "True", message: "all there" }],
      next: ["g/k", "g/gone"],
    },
  });
  await a.deliver(record);
  const [stored] = await filed(kv, 1);
  t.deepEqual(stored?.result?.outputs, { version: "7" });
  t.deepEqual(stored?.result?.problems, ["next: g/gone is not ordered: there is no such job"]);
  const [order, ...others] = await valuesOf<Order>(kv, keys.ordersAll);
  t.like(order, { type: "run", id: `next-99-${record.id}-1`, group: "g", job: "k", by: `result of ${record.id}` });
  t.is(others.length, 0);
  t.not((await kv.get(keys.order("a", order?.id ?? "")))?.lease, undefined, "it does not stay for ever");
  await eventually("the global is seen", async () => (await globals()).includes("ADDR=10.0.0.1"));
  const shown = await eventually("the condition is seen", async () => {
    const { body } = await master.ask<NodeView>("GET", "/nodes/a");
    return body.conditions.length > 0 && body;
  });
  t.deepEqual(shown.conditions, [
    { type: "Init", status: "True", message: "all there", at: record.endTime, execution: record.execution, job: "g/j" },
  ]);
  t.deepEqual((await master.ask<NodeView>("GET", "/nodes/b")).body.conditions, []);

  await kv.txn({ then: [{ op: "delete", key: keys.order("a", order?.id ?? "") }] });
  await a.deliver(record);
  await a.deliver(someRecord("a", "g/j", { endTime: ago(120_000), result: { globals: { ADDR: "late", OTHER: "x" } } }));
  await filed(kv, 2);
  t.is((await valuesOf(kv, keys.ordersAll)).length, 0, "a replay orders nothing again");
  await eventually("the late one is seen", async () => (await globals()).includes("OTHER=x"));
  t.deepEqual(await globals(), ["ADDR=10.0.0.1", "OTHER=x"], "an older result does not replace a newer one");

  const set = await master.ask<GlobalView>("PUT", "/globals/ADDR", { value: "by hand" });
  t.like(set.body, { name: "ADDR", value: "by hand", by: "admin" });
  await a.deliver(someRecord("a", "g/j", { endTime: ago(30_000), result: { globals: { ADDR: "before that" } } }));
  await filed(kv, 3);
  t.deepEqual(await globals(), ["ADDR=by hand", "OTHER=x"]);
  await a.deliver(someRecord("a", "g/j", { endTime: toIso(systemClock.now() + 3_600_000), result: { globals: { ADDR: "after that" } } }));
  await filed(kv, 4);
  await eventually("it is replaced", async () => (await globals()).includes("ADDR=after that"));
  t.true((JSON.parse((await kv.get(keys.global("ADDR")))?.value ?? "{}") as { at: string }).at <= toIso(systemClock.now()));

  t.is((await master.ask("DELETE", "/globals/OTHER")).status, 200);
  t.like((await master.ask("DELETE", "/globals/ADRR")).body, { code: "global/not-found", hint: "did you mean ADDR?" });
  t.like((await master.ask("PUT", "/globals/9", { value: "x" })).body, { code: "input/invalid" });
  t.like((await master.ask("PUT", "/globals/X", { value: "x".repeat(9000) })).body, { code: "input/invalid" });
  t.deepEqual(await globals(), ["ADDR=after that"]);

  await a.vanish();
  await eventually("it is forgotten", async () => (await master.ask("DELETE", "/nodes/a")).status === 200);
  t.is((await valuesOf(kv, keys.conditions)).length, 0, "its conditions go with it");
  await kv.close();
});

test("results of many records at once, while leaders are killed: each order once, the newest value stands", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const args = ["--session-ttl", "2s"];
  await using first = await startMasterProcess({ ...etcd, args });
  await using second = await startMasterProcess({ ...etcd, args, token: first.token });
  await first.ask("POST", "/apply", jobs(", retain: { count: 1000 }"));
  const a = await joinFleet(kv, "a");
  await eventually("the node is known", async () => (await second.ask<{ items: object[] }>("GET", "/nodes")).body.items.length === 1);
  const records = Array.from({ length: 200 }, (_, n) =>
    someRecord("a", "g/j", {
      endTime: ago(100_000 - ((n * 7) % 200) * 100),
      result: { globals: { LAST: String((n * 7) % 200) }, conditions: [{ type: "Last", status: String((n * 7) % 200) }], next: ["g/k"] },
    }),
  );
  for (const [n, record] of records.entries()) {
    await a.deliver(record);
    if (n === 100) await first.kill();
  }
  const all = await filed(kv, 200);
  t.deepEqual(
    all.flatMap(({ result }) => result?.problems ?? []),
    [],
  );
  const orders = (await valuesOf<Order>(kv, keys.ordersAll)).map(({ id }) => id);
  t.deepEqual(orders.sort(), records.map(({ id }) => `next-99-${id}-1`).sort());
  t.like(JSON.parse((await kv.get(keys.global("LAST")))?.value ?? "{}"), { value: "199" });
  t.like(JSON.parse((await kv.get(keys.condition("a", "Last")))?.value ?? "{}"), { status: "199" });
  await kv.close();
});

test("what cannot be read at a global's key, and a result that is nonsense, hold nothing up", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await put(kv, keys.global("A"), "no JSON");
  await using master = await startMasterProcess(etcd);
  await master.ask("POST", "/apply", jobs());
  const a = await joinFleet(kv, "a");
  await a.deliver(someRecord("a", "g/j", { result: { globals: { A: "x", "a/b": "y" } } }));
  await a.deliver({ ...someRecord("a", "g/j"), result: "nonsense" } as unknown as ExecutionRecord);
  await filed(kv, 2);
  t.like(JSON.parse((await kv.get(keys.global("A")))?.value ?? "{}"), { value: "x" });
  await kv.close();
});
