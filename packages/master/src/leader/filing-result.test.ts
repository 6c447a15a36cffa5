import test from "ava";
import { toIso } from "fleetcron-shared/base/clock";
import type { NodeInfo, Order } from "fleetcron-shared/model/facts";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { JobSpec, StoredJob } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { ExecutionResult } from "fleetcron-shared/model/result";
import { MAX_TXN_OPS, type Op } from "fleetcron-shared/store/kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import type { JobEntry, NodeEntry, Views } from "../views.ts";
import { type FilingFacts, type FilingItem, planFiling } from "./filing.ts";
import { CHAIN_LIMIT, MOST_MARKS, resultEffects } from "./filing-result.ts";
import { countRecord, NO_STATS } from "./stats.ts";

const keys = createKeys();
const NOW = Date.parse("2026-01-01T00:00:10Z");
const at = (second: number) => toIso(NOW - 10_000 + second * 1000);

function jobOf(id: string, more: Partial<JobSpec> = {}): [string, JobEntry] {
  const times = { createdAt: at(0), updatedAt: at(0), submittedAt: at(0) };
  const spec: JobSpec = { run: { command: { script: id } }, rules: [{ mode: "manyonce" }], ...more };
  const stored: StoredJob = { v: 1, group: "g", id, ...times, spec };
  return [keys.job("g", id), { stored, job: compileJob({ ...stored, revision: 7 }, spec) }];
}
const jobs = new Map([jobOf("a"), jobOf("b"), jobOf("elsewhere", { rules: [{ mode: "manyonce", target: { labels: { role: "db" } } }] })]);
const nodes = new Map<string, NodeEntry>([[keys.node("n1"), { info: { id: "n1" } as NodeInfo, labels: { role: "web" }, revision: 1 }]]);
const deps = {
  keys,
  clock: { now: () => NOW },
  newId: () => "NEWID",
  views: { jobs, nodes, globals: new Map(), conditions: new Map() } as unknown as Views,
};
const record = (result: ExecutionResult | undefined, more: Partial<ExecutionRecord> = {}): ExecutionRecord => ({
  ...{
    v: 1,
    id: "E-1",
    execution: "E",
    jobGroup: "g",
    jobId: "a",
    jobRevision: 7,
    attempt: 1,
    finalAttempt: true,
    nodeId: "n1",
    hostname: "h",
  },
  ...{ name: "a", endTime: at(5), durationMs: 1, success: true, outcome: { type: "exit", code: 0 }, isHandled: false },
  ...(result === undefined ? {} : { result }),
  ...more,
});
const effectsOf = (result: ExecutionResult, more: Partial<ExecutionRecord> = {}) => resultEffects(deps, "9", record(result, more));
const ordersOf = (ops: readonly Op[]) =>
  ops.flatMap((op) => (op.op === "put" && op.key.includes("/orders/") ? [JSON.parse(op.value) as Order & { type: "run" }] : []));

test("globals and conditions: by which execution, when, under keys of their own", (t) => {
  t.is(resultEffects(deps, undefined, record(undefined)), undefined);
  const effects = effectsOf({ globals: { ADDR: "x" }, conditions: [{ type: "Disk", status: "False", message: "full" }] });
  t.deepEqual(effects?.marks, [
    { key: "/fleetcron/globals/ADDR", value: { v: 1, value: "x", at: at(5), execution: "E", job: "g/a", node: "n1" } },
    {
      key: "/fleetcron/conditions/n1/Disk",
      value: { v: 1, status: "False", message: "full", at: at(5), execution: "E", job: "g/a" },
    },
  ]);
  t.is(effectsOf({ globals: { A: "x" } }, { endTime: at(9999) })?.marks[0]?.value.at, at(10), "a clock that is ahead is not believed");
});

test("results do not fill etcd with ever new names", (t) => {
  const full = (prefix: string, count: number) => new Map(Array.from({ length: count }, (_, n) => [`${prefix}X${n}`, {}]));
  const views = {
    ...{ jobs, nodes, globals: full(keys.globals, MOST_MARKS.globals - 1) },
    conditions: new Map([...full(keys.conditionsOf("n1"), MOST_MARKS.conditions), ...full(keys.conditionsOf("n2"), 500)]),
  } as unknown as Views;
  const result = { globals: { X1: "a", NEW: "b", NEWER: "c" }, conditions: ["X1", "Y"].map((type) => ({ type, status: "s" })) };
  const effects = resultEffects({ ...deps, views }, "9", record(result));
  t.deepEqual(
    effects?.marks.map(({ key }) => key),
    [keys.global("X1"), keys.global("NEW"), keys.condition("n1", "X1")],
  );
  t.deepEqual(effects?.result.problems, ["NEWER is not stored: there are 1000 already", "Y is not stored: there are 100 already"]);
});

test("next: one order each on the record's node, named after the record; what cannot be is noted", (t) => {
  const effects = effectsOf({ next: ["g/a", "g/gone", "g/b", "g/elsewhere"] });
  const orders = ordersOf(effects?.orders ?? []);
  t.deepEqual(
    effects?.orders.map((op) => `${op.op} ${op.op === "put" ? `${op.key} ${op.lease}` : ""}`),
    [`put /fleetcron/orders/n1/next-49-E-1-1 9`, `put /fleetcron/orders/n1/next-49-E-1-2 9`],
  );
  t.like(orders[1], {
    type: "run",
    id: "next-49-E-1-2",
    execution: "NEWID",
    job: "b",
    revision: 7,
    by: "result of E-1",
    spec: { run: { command: { script: "b" } } },
  });
  t.deepEqual(effects?.result.problems, [
    "next: g/gone is not ordered: there is no such job",
    "next: g/elsewhere is not ordered: none of its rules matches node n1",
  ]);
});

test("next: only from a final attempt that ended by itself, success or not", (t) => {
  const failed = { success: false, outcome: { type: "exit", code: 1 } } as const;
  t.is(effectsOf({ next: ["g/a"] }, failed)?.orders.length, 1);
  t.deepEqual(effectsOf({ next: ["g/a"] }, { ...failed, finalAttempt: false })?.result.problems, [
    "next: g/a is not ordered: another attempt follows first",
  ]);
  const killed = effectsOf({ next: ["g/a"], globals: { A: "x" } }, { success: false, outcome: { type: "killed", by: "x", reason: "y" } });
  t.deepEqual([killed?.orders.length, killed?.marks.length], [0, 1]);
  t.deepEqual(killed?.result.problems, ["next: g/a is not ordered: the command did not end by itself"]);
});

test("a chain of results ends, and however it forks it leads to no more than the limit", (t) => {
  let total = 0;
  let deepest = 0;
  const follow = (orderId: string | undefined, next: readonly string[], depth: number): void => {
    deepest = Math.max(deepest, depth);
    const effects = effectsOf({ next }, orderId === undefined ? {} : { orderId });
    total += effects?.orders.length ?? 0;
    if (effects?.orders.length !== next.length) t.regex(effects?.result.problems?.[0] ?? "", /100 executions have followed one another/);
    for (const order of ordersOf(effects?.orders ?? [])) follow(order.id, next, depth + 1);
  };
  follow(undefined, ["g/a"], 0);
  t.deepEqual([total, deepest], [CHAIN_LIMIT, CHAIN_LIMIT]);
  total = 0;
  follow("01ORDER", ["g/a", "g/b"], 0);
  t.true(total > CHAIN_LIMIT / 2 && total <= CHAIN_LIMIT, `${total} orders`);
  t.is(effectsOf({ next: ["g/a"] }, { orderId: "next-999999-forged" })?.orders.length, 1);
});

const item = (value: ExecutionRecord, inbox = 3): FilingItem => ({
  inboxKey: keys.inboxRecord(value.nodeId, value.id),
  inbox,
  record: value,
});
const facts = (more: Partial<FilingFacts> = {}): FilingFacts => ({
  filed: () => undefined,
  stats: () => undefined,
  standing: () => undefined,
  rerun: () => undefined,
  task: () => undefined,
  notices: (_, stats) => ({ stats: stats.after, notice: undefined }),
  effects: (value) => resultEffects(deps, "9", value),
  ...more,
});
const puts = (ops: readonly Op[], part: string) =>
  ops.flatMap((op) => (op.op === "put" && op.key.includes(part) ? [JSON.parse(op.value)] : []));

test("filing: the newest end wins, within one transaction and against what stands; each put under its compare", (t) => {
  const older = record({ globals: { A: "older" } }, { id: "D-1", execution: "D", endTime: at(4) });
  const newer = record({ globals: { A: "newer" } });
  for (const order of [
    [older, newer],
    [newer, older],
  ]) {
    const plan = planFiling(
      keys,
      at(10),
      order.map((value) => item(value)),
      facts(),
    );
    t.deepEqual(
      puts(plan.then, "/globals/").map(({ value }) => value),
      ["newer"],
    );
    t.is(plan.if.filter((compare) => compare.key === keys.global("A")).length, 1);
    t.is(puts(plan.then, "/records/").length, 2);
  }
  const late = planFiling(keys, at(10), [item(newer)], facts({ standing: () => ({ revision: 5, at: at(6) }) }));
  t.deepEqual(puts(late.then, "/globals/"), []);
  t.is(puts(late.then, "/records/")[0]?.result.globals.A, "newer", "the record still says what was handed back");
  const over = planFiling(keys, at(10), [item(newer)], facts({ standing: () => ({ revision: 5, at: at(5) }) }));
  t.deepEqual(
    over.if.filter((compare) => compare.key === keys.global("A")),
    [{ key: keys.global("A"), target: "modRevision", is: "=", value: 5 }],
  );
});

test("filing: a record that stands already brings nothing about again; one that the leader had written in its place does", (t) => {
  const value = record({ globals: { A: "x" }, next: ["g/a"] });
  const again = planFiling(keys, at(10), [item(value)], facts({ filed: () => ({ revision: 4, record: value }) }));
  t.deepEqual(
    again.then.map(({ op }) => op),
    ["delete"],
  );
  const provisional = record(undefined, { outcome: { type: "lost", why: "nodeGone" }, success: false, provisional: true });
  const truth = planFiling(
    keys,
    at(10),
    [item(value)],
    facts({
      filed: () => ({ revision: 4, record: provisional }),
      stats: () => ({ revision: 2, stats: countRecord(NO_STATS, provisional) }),
    }),
  );
  t.is(puts(truth.then, "/globals/").length, 1);
  t.is(ordersOf(truth.then).length, 1);
});

test("filing: many large results fit transactions; nonsense from an agent keeps nothing from being filed", (t) => {
  const large = (n: number): ExecutionRecord =>
    record(
      {
        globals: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`G${n}_${i}`, "x"])),
        conditions: Array.from({ length: 20 }, (_, i) => ({ type: `C${n}-${i}`, status: "x" })),
        next: ["g/a", "g/b"],
      },
      { id: `${n}-1`, execution: String(n), jobId: `j${n}` },
    );
  let rest = Array.from({ length: 10 }, (_, n) => item(large(n)));
  while (rest.length > 0) {
    const plan = planFiling(keys, at(10), rest, facts());
    t.true(plan.taken > 0);
    t.true(plan.then.length < MAX_TXN_OPS && plan.if.length < MAX_TXN_OPS, `${plan.then.length} ops, ${plan.if.length} compares`);
    rest = rest.slice(plan.taken);
  }
  for (const nonsense of ["x", null, 7, [], { globals: { "a/b": "x" }, conditions: [{ type: "../x", status: "y" }], next: "g/a" }]) {
    const plan = planFiling(keys, at(10), [item(record(nonsense as ExecutionResult))], facts());
    t.is(puts(plan.then, "/records/").length, 1);
    t.is(plan.then.length, 3, "the record, its inbox key and the statistics");
  }
});
