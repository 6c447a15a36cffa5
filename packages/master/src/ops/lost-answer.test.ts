import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import type { NodeInfo } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { Kv, Txn } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createTimetable } from "../timetable.ts";
import { openViews } from "../views.ts";
import { applyFiles } from "./apply-files.ts";
import { deleteJob } from "./delete-job.ts";
import { drainNode, labelNode } from "./edit-node.ts";
import { openFileChecker } from "./file-checker.ts";
import { forgetNode } from "./forget-node.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { createOrderLease } from "./order-lease.ts";
import { pauseJob } from "./pause-job.ts";
import { putJob } from "./put-job.ts";
import { runJob } from "./run-job.ts";

const keys = createKeys();
const REF = { group: "g", id: "x" };
const SPEC: JobSpec = { run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "@hourly" }] };
const NODE: NodeInfo = {
  ...{ v: 1, id: "a", hostname: "a", addresses: [], agentLabels: {}, apiLabels: {}, capacity: 1, version: "0", bootId: "b", pid: 1 },
  ...{ createdAt: "2026-01-01T00:00:00.000Z", startedAt: "2026-01-01T00:00:00.000Z" },
};

/** What goes wrong with a write: `before` and `after` it reaches the store, a number of times. */
type Fault = { readonly when: "before" | "after"; readonly times: number };

async function withOps(fault: Fault, check: (deps: OpsDeps, direct: Kv) => Promise<void>): Promise<void> {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  let left = 0;
  const faulty = {
    ...kv,
    async txn(txn: Txn) {
      if (left === 0 || txn.then.every(({ op }) => op === "get")) return kv.txn(txn);
      left -= 1;
      if (fault.when === "before") throw new AppError("etcd/unknown-outcome", "the connection broke");
      kv.loseNextAnswer();
      return kv.txn(txn);
    },
  };
  const base = { kv: faulty, keys, clock: systemClock, random: systemRandom, log: silentLog };
  await kv.txn({ then: [{ op: "put", key: keys.node("a"), value: JSON.stringify(NODE) }] });
  const views = openViews(base);
  await views.synced;
  const fileChecker = openFileChecker(base);
  const orderLease = createOrderLease(base);
  const newId = createIdSource(base);
  const deps = {
    ...base,
    newId,
    views,
    fileChecker,
    orderLease,
    timetable: createTimetable("UTC"),
    logStreams: { open: () => Promise.reject(new Error("nothing is followed here")) as never, close() {} },
    send: () => Promise.reject(new Error("nothing is sent here")),
    passPoint: () => {},
  };
  await putJob(deps, REF, SPEC, undefined);
  await orderLease.current();
  left = fault.times;
  try {
    await check(deps, store.connect());
  } finally {
    await Promise.all([views.close(), fileChecker.close(), kv.revokeLease(await orderLease.current())]);
  }
}

const applied = (deps: OpsDeps, ids: readonly string[]) => {
  const jobs = Object.fromEntries(ids.map((id) => [`g/${id}`, { ...SPEC, name: "new" }]));
  return applyFiles(deps, { files: [{ name: "f.json", text: JSON.stringify({ jobs }) }], dryRun: false, prune: true });
};

/** Each intent, and whether the store shows it. */
const INTENTS: Readonly<Record<string, { act(deps: OpsDeps): Promise<unknown>; isDone(kv: Kv): Promise<boolean> }>> = {
  put: {
    act: (deps) => putJob(deps, { group: "g", id: "y" }, SPEC, 0),
    isDone: async (kv) => (await kv.get(keys.job("g", "y")))?.version === 1,
  },
  "put again": {
    act: (deps) => putJob(deps, REF, { ...SPEC, name: "new" }, undefined),
    isDone: async (kv) => (await kv.get(keys.job("g", "x")))?.version === 2,
  },
  pause: {
    act: (deps) => pauseJob(deps, REF, true),
    isDone: async (kv) => (await kv.get(keys.job("g", "x")))?.version === 2,
  },
  delete: { act: (deps) => deleteJob(deps, REF), isDone: async (kv) => (await kv.get(keys.job("g", "x"))) === undefined },
  apply: {
    act: (deps) => applied(deps, ["x", "y"]),
    isDone: async (kv) => (await kv.get(keys.job("g", "x")))?.version === 2 && (await kv.get(keys.job("g", "y")))?.version === 1,
  },
  "apply with prune": {
    act: (deps) => applied(deps, ["y"]),
    isDone: async (kv) => (await kv.get(keys.job("g", "x"))) === undefined && (await kv.get(keys.job("g", "y")))?.version === 1,
  },
  labels: {
    act: (deps) => labelNode(deps, "a", { set: { role: "db" }, remove: [] }),
    isDone: async (kv) => (await kv.get(keys.node("a")))?.version === 2,
  },
  drain: { act: (deps) => drainNode(deps, "a", true, "me"), isDone: async (kv) => (await kv.get(keys.node("a")))?.version === 2 },
  forget: { act: (deps) => forgetNode(deps, "a"), isDone: async (kv) => (await kv.get(keys.node("a"))) === undefined },
};

for (const [name, { act, isDone }] of Object.entries(INTENTS)) {
  for (const when of ["before", "after"] as const) {
    test(`${name}: a connection that breaks ${when} the write is no failure`, (t) =>
      withOps({ when, times: 1 }, async (deps, kv) => {
        await act(deps);
        t.true(await isDone(kv), "written once");
      }));
  }
}

test("a run order whose answer is lost is given once", (t) =>
  withOps({ when: "after", times: 1 }, async (deps, kv) => {
    await kv.txn({ then: [{ op: "put", key: keys.alive("a"), value: JSON.stringify({ v: 1, node: "a", running: 0, queued: 0 }) }] });
    await deps.views.alive.reached((await kv.get(keys.alive("a")))?.modRevision ?? 0);
    const { orders } = await runJob(deps, REF, {}, "me");
    const { kvs } = await kv.range({ start: keys.ordersAll, end: `${keys.ordersAll}~` });
    t.deepEqual(
      kvs.map(({ key }) => key),
      orders.map(({ order }) => keys.order("a", order)),
    );
    t.truthy(kvs[0]?.lease, "orders do not stay for ever");
  }));

test("a write that never gets through is a failure of etcd; one that somebody undid is a conflict", async (t) => {
  await withOps({ when: "before", times: 9 }, async (deps) => {
    t.true(isCode(await t.throwsAsync(putJob(deps, REF, { ...SPEC, name: "new" }, undefined)), "etcd/unknown-outcome"));
  });
  await withOps({ when: "after", times: 1 }, async (deps, kv) => {
    const txn = deps.kv.txn.bind(deps.kv);
    const rival = async (request: Txn) => {
      try {
        return await txn(request);
      } catch (error) {
        await kv.txn({ then: [{ op: "delete", key: keys.job("g", "x") }] });
        throw error;
      }
    };
    const thrown = await t.throwsAsync(putJob({ ...deps, kv: { ...deps.kv, txn: rival } }, REF, { ...SPEC, name: "new" }, undefined));
    t.true(isCode(thrown, "write/conflict"));
    t.is(await kv.get(keys.job("g", "x")), undefined);
  });
});
