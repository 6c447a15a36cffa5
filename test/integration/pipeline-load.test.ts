/** Many tasks that end at once, many runs at once, many nodes: nothing is started twice, nothing is forgotten. */
import test from "ava";
import type { PipelineRunSummary } from "fleetcron/http/pipeline-schema";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { prefixRange } from "fleetcron-shared/store/kv";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { keys } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, startRun, task, taskOfRun } from "../support/pipelines.ts";

const shared = {} as { etcd: EtcdServer; master: MasterProcess; kv: ReturnType<typeof openEtcdKv> };
test.before(async () => {
  shared.etcd = await startEtcd();
  shared.kv = openEtcdKv(shared.etcd, { clock: systemClock });
  shared.master = await startMasterProcess({ ...shared.etcd });
});
test.after.always(async () => {
  await shared.master?.stop();
  await shared.kv?.close();
  await shared.etcd?.stop();
});

test.serial("a parallel stage of 50 tasks on 3 nodes that end at the same moment joins once, each time", async (t) => {
  const { kv, master } = shared;
  let held: (() => void)[] = [];
  /** The tasks of the stage end when all of them have begun. */
  await using worker = await startOrderWorker(kv, { a: {}, b: {}, c: {} }, async (order) => {
    if (order.env?.FLEETCRON_TASK === "join") return {};
    await new Promise<void>((resolve) => {
      held.push(resolve);
      if (held.length === 50) for (const go of held.splice(0)) go();
    });
    return {};
  });
  const spec = {
    stages: [
      { name: "many", parallel: true, tasks: Array.from({ length: 50 }, (_, i) => task(`t${i}`)) },
      { name: "one", tasks: [task("join")] },
    ],
  };
  for (let round = 1; round <= 200; round++) {
    held = [];
    const id = await startRun(master, spec, {}, "g/many");
    const run = await runUntil(master, id, "it ends", hasEnded, 60_000);
    t.is(run.state, "succeeded");
    t.is(worker.count("join"), round);
    t.is(worker.orders.length, round * 51);
  }
  const load = Map.groupBy(worker.orders, ({ node }) => node);
  for (const [node, orders] of load) t.true(orders.length > 2000, `${node} got ${orders.length}`);
});

test.serial("200 runs of 5 tasks at once all come to their end, each task once", async (t) => {
  const { kv, master } = shared;
  await using worker = await startOrderWorker(kv, { d: {}, e: {}, f: {} }, () => ({}));
  const tasks = Array.from({ length: 5 }, (_, i) => task(`t${i}`));
  await startRun(master, { stages: [{ name: "s", tasks }] }, {}, "g/five");
  const begun = systemClock.mono();
  for (let at = 0; at < 199; at += 20)
    await Promise.all(Array.from({ length: Math.min(20, 199 - at) }, () => master.ask("POST", "/pipelines/g/five/run", {})));
  await eventually(
    "all have ended",
    async () => (await kv.range({ ...prefixRange(keys.unfinishedAll), keysOnly: true })).kvs.length === 0,
    120_000,
  );
  t.log(`${Math.round(systemClock.mono() - begun)} ms`);
  const executions = new Set(worker.orders.map(({ order }) => `${order.env?.FLEETCRON_RUN} ${order.env?.FLEETCRON_TASK}`));
  t.is(executions.size, 1000);
  t.is(worker.orders.length, 1000);
  await eventually(
    "only those within retention are left",
    async () => (await kv.range(prefixRange(keys.runsOf("g", "five")))).count === 100,
  );
  const page = await master.ask<{ items: PipelineRunSummary[] }>("GET", "/runs?pipeline=g/five&limit=1000");
  t.true(page.body.items.every(({ state }) => state === "succeeded"));
});

test.serial("the next task is ordered soon after the one before has ended", async (t) => {
  const { kv, master } = shared;
  const delivered: number[] = [];
  const gaps: number[] = [];
  await using worker = await startOrderWorker(kv, { g: {} }, () => {
    const now = systemClock.mono();
    const last = delivered.at(-1);
    if (last !== undefined) gaps.push(now - last);
    delivered.push(now);
    return {};
  });
  const id = await startRun(master, { stages: [{ name: "s", tasks: Array.from({ length: 40 }, (_, i) => task(`t${i}`)) }] }, {}, "g/chain");
  t.is((await runUntil(master, id, "it ends", hasEnded, 60_000)).state, "succeeded");
  gaps.sort((a, b) => a - b);
  t.log(`median ${gaps[20]?.toFixed(1)} ms, p95 ${gaps[37]?.toFixed(1)} ms`);
  t.is(worker.orders.length, 40);
});

test.serial("a task on 300 nodes takes several transactions, and every node is ordered once", async (t) => {
  const { kv, master } = shared;
  const nodes = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`n${i}`, { wide: "yes" }]));
  await using worker = await startOrderWorker(kv, nodes, () => ({}));
  const id = await startRun(master, { tasks: [task("each", { forEachNode: true, target: { labels: { wide: "yes" } } })] }, {}, "g/wide");
  const run = await runUntil(master, id, "it ends", hasEnded, 60_000);
  t.is(run.state, "succeeded", run.message);
  t.is(worker.orders.length, 300);
  t.is(new Set(worker.orders.map(({ node }) => node)).size, 300);
  t.is(taskOfRun(run, "each")?.instances?.length, 300);
});
