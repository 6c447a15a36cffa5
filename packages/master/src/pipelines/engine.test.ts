/** The leader dies before, in and after each transaction of a run, and another takes over: the run ends as it would have, no task started twice. In memory. */
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import type { NodeInfo, Order } from "fleetcron-shared/model/facts";
import type { PipelineSpec, StoredPipeline, TaskSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { RunRequest } from "fleetcron-shared/model/pipeline/request";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { isRunEnd } from "fleetcron-shared/model/pipeline/run-document";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Kv, Txn } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import type { LeaderService } from "../leader/leader-deps.ts";
import { taskAdditions } from "../leader/task-record.ts";
import { createOrderLease } from "../ops/order-lease.ts";
import { runPipeline } from "../ops/run-pipeline.ts";
import { openViews } from "../views.ts";
import { startPipelines } from "./engine.ts";

const keys = createKeys();
const clock = systemClock;
const random = systemRandom;
const log = silentLog;
const passPoint = () => {};
const newId = createIdSource({ clock, random });
const job = { run: { command: { script: "true" } } };
const task = (name: string, more: Partial<TaskSpec> = {}): TaskSpec => ({ name, job, ...more });

/** When the leader dies: at its `at`-th transaction, before it is sent, after it was stored, or with its answer lost. */
type Death = { readonly at: number; readonly how: "before" | "after" | "answer" };

/** A cluster in memory: a store, nodes that do what they are told, and one leader after the other. */
async function world(spec: PipelineSpec) {
  const store = createMemoryStore({ clock });
  const kv = store.connect();
  const views = openViews({ kv, clock, random, log, keys });
  const orderLease = createOrderLease({ kv, clock });
  const now = toIso(clock.now());
  const put = (key: string, value: string) => kv.txn({ then: [{ op: "put", key, value }] });
  for (const id of ["a", "b"]) {
    const info: NodeInfo = {
      ...{
        v: 1,
        id,
        hostname: id,
        addresses: [],
        agentLabels: {},
        apiLabels: {},
        capacity: 9,
        version: "0",
        createdAt: now,
        startedAt: now,
        bootId: "b",
        pid: 1,
      },
    };
    await put(keys.node(id), encode(info));
    await put(
      keys.alive(id),
      encode({ v: 1, node: id, instance: id, startedAt: now, running: 0, queued: 0, observedRevision: 0 } as { v: 1 }),
    );
  }
  const stored: StoredPipeline = { v: 1, group: "g", id: "p", createdAt: now, updatedAt: now, spec };
  await put(keys.pipeline("g", "p"), encode(stored));
  await views.synced;

  const started: string[] = [];
  const agents = openMirror(
    { kv, clock, random, log },
    {
      prefix: keys.ordersAll,
      onEvents(events) {
        for (const event of events)
          if (event.type === "put") void carryOut(decode<Order>(event.kv.key, event.kv.value), keys.parts(event.kv.key)[1] ?? "");
      },
    },
  );
  /** Runs it, and files its record as the filer does. */
  async function carryOut(order: Order, node: string): Promise<void> {
    if (order.type !== "run") return;
    started.push(`${order.env?.FLEETCRON_TASK}@${node}`);
    const { id, execution, group, job: jobId } = order;
    const record = {
      ...{ v: 1, id: `${execution}-1`, execution, orderId: id, jobGroup: group, jobId, attempt: 1, finalAttempt: true, nodeId: node },
      ...{ success: true, outcome: { type: "exit", code: 0 } },
    } as ExecutionRecord;
    // One end after the other, so that each is a transaction of its own.
    for (let turns = started.length * 5; turns > 0; turns--) await new Promise<void>((resolve) => void clock.turn(resolve));
    for (const op of taskAdditions(keys, record)?.requests ?? []) await kv.txn({ then: [op] });
  }

  /** A leader that dies at `death`; resolves when it is dead. `hold`: before each of its transactions. */
  function lead(
    death: Death | undefined,
    hold?: (txn: Txn) => Promise<void>,
  ): { readonly dead: Promise<void>; readonly service: LeaderService; transactions(): number } {
    const ended = new AbortController();
    const { promise: dead, resolve } = Promise.withResolvers<void>();
    let count = 0;
    const mortal: Kv = {
      ...kv,
      async txn(txn) {
        if (ended.signal.aborted) throw new AppError("etcd/closed", "dead");
        await hold?.(txn);
        const isWrite = txn.then.some(({ op }) => op !== "get");
        if (!isWrite || ++count !== death?.at) return kv.txn(txn);
        if (death.how !== "before") await kv.txn(txn);
        if (death.how === "answer") throw new AppError("etcd/unknown-outcome", "the answer was lost");
        ended.abort();
        resolve();
        throw new AppError("etcd/closed", "dead");
      },
    };
    const guard = { key: keys.meta, target: "createRevision", is: "=", value: 0 } as const;
    const term = { revision: 1, guard, ended: ended.signal, trusted: () => !ended.signal.aborted };
    const service = startPipelines(
      { kv: mortal, keys, clock, random, log, newId, views, orderLease, passPoint, term },
      { lostAfterMs: 60_000 },
    );
    return { dead, service, transactions: () => count };
  }

  const ask = (id?: string) =>
    runPipeline(
      { kv, keys, views, clock, newId, passPoint },
      { group: "g", id: "p" },
      { params: {}, labels: {}, trigger: "manual", by: "ann", run: id },
    );
  const run = await ask();
  /** Every state of every run, as it was stored. */
  const history: RunDocument[] = [];
  const over = Promise.withResolvers<RunDocument>();
  const watching = openMirror(
    { kv, clock, random, log },
    {
      prefix: keys.runs,
      onEvents(events) {
        for (const event of events) {
          const doc = event.type === "put" ? decode<RunDocument>(event.kv.key, event.kv.value) : undefined;
          if (doc !== undefined) history.push(doc);
          if (doc !== undefined && isRunEnd(doc.state)) over.resolve(doc);
        }
      },
    },
  );
  return {
    kv,
    run,
    ask,
    history,
    started,
    lead,
    over: over.promise,
    async close() {
      await Promise.all([agents.close(), watching.close(), views.close()]);
      // A lease in memory is a timer.
      await kv.revokeLease(await orderLease.current());
      await kv.close();
    },
  };
}

const SPEC: PipelineSpec = {
  stages: [
    { name: "one", tasks: [task("a")] },
    { name: "two", parallel: true, tasks: [task("b"), task("c", { forEachNode: true }), task("d", { when: { NOPE: "*" } })] },
    { name: "three", tasks: [task("e")] },
  ],
  finally: [task("z")],
};
const STARTS = ["a", "b", "c@a", "c@b", "e", "z"];
const names = (started: readonly string[]) => started.map((one) => (one.startsWith("c@") ? one : one.slice(0, one.indexOf("@")))).sort();

async function runWith(death: Death | undefined): Promise<{ started: string[]; state: string; transactions: number }> {
  const cluster = await world(SPEC);
  const first = cluster.lead(death);
  const isDead = await Promise.race([cluster.over.then(() => false), first.dead.then(() => true)]);
  const second = isDead ? cluster.lead(undefined) : undefined;
  const { state } = await cluster.over;
  await first.service.stop();
  await second?.service.stop();
  const { started } = cluster;
  await cluster.close();
  return { started: names(started), state, transactions: first.transactions() };
}

test("without a death, each task is started once", async (t) => {
  const { started, state, transactions } = await runWith(undefined);
  t.deepEqual(started, STARTS);
  t.is(state, "succeeded");
  t.true(transactions >= 5 && transactions < 20, `${transactions} transactions`);
});

for (const how of ["before", "after", "answer"] as const) {
  test(`the leader dies ${how === "answer" ? "not, but loses the answer" : how} at each of its transactions`, async (t) => {
    for (let at = 1; at <= 14; at++) {
      const { started, state } = await runWith({ at, how });
      t.deepEqual(started, STARTS, `transaction ${at}`);
      t.is(state, "succeeded");
    }
  });
}

test("two that both believe to lead: each task is started once all the same", async (t) => {
  const cluster = await world(SPEC);
  const leaders = [cluster.lead(undefined), cluster.lead(undefined), cluster.lead(undefined)];
  const { state } = await cluster.over;
  for (const { service } of leaders) await service.stop();
  t.is(state, "succeeded");
  t.deepEqual(names(cluster.started), STARTS);
  await cluster.close();
});

test("a rerun that is about to begin keeps a new run of its sequence waiting: at no time are two under way", async (t) => {
  const cluster = await world({ tasks: [task("a")], sequential: "branch" });
  const [gate, begins, seen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const again = cluster.run.id;
  const next = newId();
  const { service } = cluster.lead(undefined, async ({ then }) => {
    const puts = then.flatMap((op) =>
      op.op === "put" && op.key === keys.run("g", "p", again) ? [decode<RunDocument>(op.key, op.value)] : [],
    );
    if (then.some((op) => op.op === "get" && op.key === keys.run("g", "p", next))) seen.resolve();
    if (!puts.some(({ attempt, state }) => attempt === 2 && state === "active")) return;
    begins.resolve();
    await gate.promise;
  });
  await cluster.over;
  const rerun: RunRequest = { v: 1, run: again, pipeline: { group: "g", id: "p" }, event: { type: "rerun", by: "ann", from: undefined } };
  await cluster.kv.txn({ then: [{ op: "put", key: keys.request("r1"), value: encode(rerun) }] });
  await begins.promise;
  await cluster.ask(next);
  await seen.promise;
  // The new run is known; were it its turn, it would begin in these.
  const turns = async (count: number) => {
    for (let left = count; left > 0; left--) await new Promise<void>((resolve) => void clock.turn(resolve));
  };
  await turns(100);
  gate.resolve();
  const ends = () => cluster.history.filter(({ state }) => state === "succeeded").map(({ id, attempt }) => `${id} ${attempt}`);
  while (ends().length < 3) await turns(1);
  t.deepEqual(ends(), [`${again} 1`, `${again} 2`, `${next} 1`]);
  const active = new Set<string>();
  for (const { id, state } of cluster.history) {
    if (state === "active") active.add(id);
    else active.delete(id);
    t.true(active.size <= 1);
  }
  await service.stop();
  await cluster.close();
});
