/**
 * Whoever leads is killed before and after every transaction of pipelines and notifications, by name, while another master stands by: each run ends as it would
 * have, what its commands write says that each task started once, and a real server was sent each notice, under one id.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { RunResult } from "fleetcron/http/api-schema";
import type { PipelineRunView } from "fleetcron/http/pipeline-schema";
import { type KillPoint, STEPS, type Step } from "fleetcron/kill-points";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { Delivery } from "fleetcron-shared/model/notice";
import type { PipelineSpec, TaskSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { RunAnswer, RunRequest } from "fleetcron-shared/model/pipeline/request";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { prefixRange } from "fleetcron-shared/store/kv";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { type KillBench, startKillBench } from "../support/kill-bench.ts";
import { hasEnded, statesOf } from "../support/pipelines.ts";
import { textOf } from "../support/processes.ts";

/** A scenario lets the leader die at the point, and looks at what has become of it. */
type Scenario = (t: ExecutionContext, bench: KillBench, point: KillPoint) => Promise<void>;

let etcd: EtcdServer;
test.before(async () => {
  // Each program that is killed with this one listens to its end.
  process.setMaxListeners(50);
  etcd = await startEtcd();
});
test.after.always(() => etcd?.stop());

const jobTask = (bench: KillBench, name: string, body?: string, more: Partial<TaskSpec> = {}): TaskSpec => ({
  name,
  job: { run: { command: { script: bench.script(body) } } },
  ...more,
});
const start = async (bench: KillBench, pipeline: string) =>
  (await bench.ask<PipelineRunView>("POST", `/pipelines/${pipeline}/run`, {})).body.id;
const slug = (point: KillPoint) => point.replace(":", "-").toLowerCase();
const succeeded = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, "succeeded"]));

function release(bench: KillBench): PipelineSpec {
  const people = { auditors: ["admin"], checkers: ["admin"] };
  return {
    notify: [{ on: ["waiting", "success", "finalFailure"], to: ["hook"] }],
    retain: { count: 1 },
    stages: [
      { name: "one", tasks: [jobTask(bench, "a", 'echo "COMMIT=1234" >> "$FLEETCRON_RESULT"')] },
      {
        name: "two",
        parallel: true,
        tasks: [
          jobTask(bench, "b", 'test "$COMMIT" = 1234'),
          jobTask(bench, "c"),
          jobTask(bench, "m", `echo "$FLEETCRON_TASK_TOKEN" > ${bench.file("token")}-$FLEETCRON_RUN`, { manualStatus: true }),
        ],
      },
      { name: "three", tasks: [jobTask(bench, "d", "", { audit: { auditors: people.auditors }, confirm: { checkers: people.checkers } })] },
    ],
    finally: [jobTask(bench, "z")],
  };
}

/** A whole run with everything that people and the outside world have to say to it. */
async function goThrough(bench: KillBench): Promise<string> {
  const id = await start(bench, "t/release");
  await bench.run(id, "m waits for its status", (run) => statesOf(run).m === "active");
  const token = await eventually("the token", async () => textOf(`${bench.file("token")}-${id}`).trim());
  await bench.ask("PUT", `/runs/${id}/tasks/m/status`, { state: "succeeded" }, { authorization: `Bearer ${token}` });
  await bench.run(id, "d waits for approval", (run) => statesOf(run).d === "waitingAudit");
  await bench.ask("POST", `/runs/${id}/tasks/d/approve`, {});
  await bench.run(id, "d waits for confirmation", (run) => statesOf(run).d === "waitingConfirm");
  await bench.ask("POST", `/runs/${id}/tasks/d/confirm`, {});
  await bench.run(id, "it ends", hasEnded);
  return id;
}

const throughRun: Scenario = async (t, bench, point) => {
  const id = await bench.dieAt(point, () => goThrough(bench));
  await lookAt(t, bench, point, id);
};

/** The run and its messages are as if nothing had been. */
async function lookAt(t: ExecutionContext, bench: KillBench, point: KillPoint, id: string): Promise<void> {
  const run = await bench.run(id, "it has ended", hasEnded);
  t.like(run, { state: "succeeded", attempt: 1 }, point);
  t.deepEqual(statesOf(run), succeeded(["a", "b", "c", "m", "d", "z"]), point);
  t.true(
    run.tasks.every(({ attempt }) => attempt === 1),
    point,
  );
  const starts = bench.starts(id);
  t.deepEqual([...starts].sort(), ["a", "b", "c", "d", "m", "z"], `${point}: each once`);
  t.deepEqual([starts[0], starts.at(-2), starts.at(-1)], ["a", "d", "z"], `${point}: in order`);
  const notices = [`${id}.1.confirm.d.1`, `${id}.1`];
  await eventually(`${point}: it was told`, async () => notices.every((notice) => deliveriesOf(bench, notice).length > 0));
}

/** The ids under which a notice has arrived. */
function deliveriesOf({ target }: KillBench, notice: string): string[] {
  const ids = target.received.flatMap(({ body }) => {
    const { id, notices } = body as { id: string; notices: { id: string }[] };
    return notices.some((one) => one.id === notice) ? [id] : [];
  });
  return [...new Set(ids)];
}

/** Far more than one transaction can kill. */
const MANY = Array.from({ length: 18 }, (_, i) => `s${i}`);

const cancelled: Scenario = async (t, bench, point) => {
  const tasks = MANY.map((name) => jobTask(bench, name, "exec sleep 600"));
  await bench.apply({ "t/many": { stages: [{ name: "s", parallel: true, tasks }], finally: [jobTask(bench, "z")] } });
  const id = await start(bench, "t/many");
  await eventually("all have begun", async () => bench.starts(id).length === MANY.length);
  await bench.dieAt(point, () => bench.ask("POST", `/runs/${id}/cancel`, { reason: "enough" }));
  const run = await bench.run(id, "it is over", hasEnded);
  t.is(run.state, "cancelled", point);
  t.deepEqual(statesOf(run), { ...Object.fromEntries(MANY.map((name) => [name, "cancelled"])), z: "succeeded" }, point);
  t.deepEqual([...bench.starts(id)].sort(), [...MANY, "z"].sort(), `${point}: each once`);
};

const rerun: Scenario = async (t, bench, point) => {
  const gate = bench.file(slug(point));
  await bench.apply({
    "t/again": { tasks: [jobTask(bench, "a"), jobTask(bench, "f", `test -e ${gate} || { touch ${gate}; exit 1; }`, { needs: ["a"] })] },
  });
  const id = await start(bench, "t/again");
  t.is((await bench.run(id, "it fails", hasEnded)).state, "failed");
  await bench.dieAt(point, () => bench.ask("POST", `/runs/${id}/rerun`, { from: "f" }));
  const run = await bench.run(id, "it works", ({ state }) => state === "succeeded");
  t.is(run.attempt, 2, `${point}: one attempt more`);
  t.deepEqual(bench.starts(id), ["a", "f", "f"], point);
};

const ordered: Scenario = async (t, bench, point) => {
  const job = { kind: "interval", rules: [{ mode: "manyonce" }], run: { command: { script: bench.script() } } };
  await bench.ask("PUT", "/jobs/t/one", { spec: job });
  const { body } = await bench.dieAt(point, () => bench.ask<RunResult>("POST", "/jobs/t/one/run", { env: { POINT: slug(point) } }));
  const execution = body.orders[0]?.execution ?? "";
  const records = async () => (await bench.kv.range(prefixRange(bench.keys.recordsOf("t", "one")))).kvs.map(({ key }) => key);
  await eventually("it has run", async () => (await records()).some((key) => key.includes(execution)));
  const orders = (await bench.kv.range(prefixRange(bench.keys.ordersAll))).kvs.filter(({ value }) => value.includes(slug(point)));
  t.is(orders.length, 1, `${point}: one order`);
};

const dropped: Scenario = async (t, bench, point) => {
  const [id, key] = [`lost-${slug(point)}`, bench.keys.request(`lost-${slug(point)}`)];
  const request: RunRequest = {
    ...{ v: 1, run: "NOSUCHRUN", pipeline: { group: "t", id: "release" }, ask: true },
    event: { type: "cancel", by: "ann", reason: "" },
  };
  await bench.dieAt(point, () => bench.kv.txn({ then: [{ op: "put", key, value: JSON.stringify(request) }] }));
  const answer = await eventually("it is answered", () => bench.kv.get(bench.keys.answer(id)));
  t.is((JSON.parse(answer.value) as RunAnswer).refused?.code, "pipeline/no-run", point);
  t.is(await bench.kv.get(key), undefined, `${point}: the request is gone`);
};

const forgotten: Scenario = async (t, bench, point) => {
  const at = toIso(systemClock.now());
  const { kv, keys } = bench;
  const old = Array.from({ length: 30 }, (_, i): Delivery => {
    const id = `old-${slug(point)}-${i}`;
    return { v: 1, id, channel: "hook", state: "delivered", createdAt: at, sealedAt: at, endedAt: at, items: [], omitted: 0, tries: 1 };
  });
  await bench.dieAt(point, () =>
    kv.txn({ then: old.map((one) => ({ op: "put", key: keys.delivery("hook", one.id), value: JSON.stringify(one) })) }),
  );
  await eventually(`${point}: 20 are left`, async () => (await kv.range(prefixRange(keys.deliveriesOf("hook")))).count <= 21);
  t.is(bench.target.received.filter(({ body }) => String(body.id).startsWith("old-")).length, 0, `${point}: none is sent again`);
};

const timed: Scenario = async (t, bench, point) => {
  const pipeline = `t/${slug(point)}`;
  const trigger = { name: "tick", rule: { timer: "* * * * * *", misfire: "all" as const }, params: { DUE: "${due}" } };
  const spec: PipelineSpec = { params: [{ name: "DUE" }], tasks: [jobTask(bench, "timed")], triggers: [trigger], retain: { count: 1000 } };
  await bench.dieAt(point, () => bench.apply({ [pipeline]: spec }));
  const [group = "", id = ""] = pipeline.split("/");
  const runs = async () =>
    (await bench.kv.range(prefixRange(bench.keys.runsOf(group, id)))).kvs.map(({ value }) => JSON.parse(value) as RunDocument);
  await eventually("it has ticked", async () => (await runs()).length >= 4);
  await bench.ask("DELETE", `/pipelines/${pipeline}`);
  await eventually("all have ended", async () => (await runs()).every(({ state }) => state === "succeeded"));
  const plans = (await bench.kv.range(prefixRange(`${bench.keys.prefix}/plans/${pipeline}/`))).kvs;
  const dues = plans.map(({ value }) => Date.parse(JSON.parse(value).values.DUE)).sort((a, b) => a - b);
  t.deepEqual(
    dues,
    dues.map((_, index) => (dues[0] ?? 0) + index * 1000),
    `${point}: each second once`,
  );
  for (const run of await runs()) t.deepEqual(bench.starts(run.id), ["timed"], point);
};

const followed: Scenario = async (t, bench, point) => {
  const next = { tasks: [jobTask(bench, "next")], triggers: [{ name: "after", pipeline: { after: "t/first" } }] };
  await bench.apply({ "t/first": { tasks: [jobTask(bench, "first")] }, "t/next": next });
  const first = await bench.dieAt(point, () => start(bench, "t/first"));
  const runs = async () =>
    (await bench.kv.range(prefixRange(bench.keys.runsOf("t", "next")))).kvs
      .map(({ value }) => JSON.parse(value) as RunDocument)
      .filter(({ by }) => by.endsWith(first));
  await eventually("it is followed", async () => (await runs()).some(({ state }) => state === "succeeded"));
  await eventually("nothing is left to follow", async () => (await bench.kv.range(prefixRange(bench.keys.ends))).count === 0);
  const all = await runs();
  t.is(all.length, 1, `${point}: by one run`);
  t.deepEqual([bench.starts(first), bench.starts(all[0]?.id ?? "")], [["first"], ["next"]], point);
};

const SCENARIOS: Readonly<Record<Step, Scenario>> = {
  runJob: ordered,
  ...{ createRun: throughRun, ask: throughRun, start: throughRun, order: throughRun, file: throughRun, takeEnd: throughRun },
  ...{ status: throughRun, audit: throughRun, confirm: throughRun, notify: throughRun, finish: throughRun, tidy: throughRun },
  ...{ gather: throughRun, seal: throughRun, send: throughRun, note: throughRun },
  ...{ cancel: cancelled, kill: cancelled, rerun, drop: dropped, forget: forgotten, fire: timed, moveTimer: timed, follow: followed },
};

/** Each with masters of its own; they take turns at the processor while the others wait for a dead leader's session to end. */
const LANES: Readonly<Record<string, readonly KillPoint[]>> = {
  "a run, before": pointsOf("before", [
    "createRun",
    "ask",
    "start",
    "order",
    "file",
    "takeEnd",
    "status",
    "audit",
    "confirm",
    "notify",
    "finish",
    "tidy",
  ]),
  "a run, after": pointsOf("after", [
    "createRun",
    "ask",
    "start",
    "order",
    "file",
    "takeEnd",
    "status",
    "audit",
    "confirm",
    "notify",
    "finish",
    "tidy",
  ]),
  messages: [
    ...pointsOf("before", ["gather", "seal", "send", "note", "forget", "drop"]),
    ...pointsOf("after", ["gather", "seal", "send", "note", "forget", "drop"]),
  ],
  "cancel, rerun, triggers": [
    ...pointsOf("before", ["cancel", "kill", "rerun", "follow", "fire", "moveTimer", "runJob"]),
    ...pointsOf("after", ["cancel", "kill", "rerun", "follow", "fire", "moveTimer", "runJob"]),
  ],
};

const stepOf = (point: KillPoint) => point.slice(0, point.indexOf(":")) as Step;

function pointsOf(side: "before" | "after", steps: readonly Step[]): KillPoint[] {
  return steps.map((step): KillPoint => `${step}:${side}`);
}

for (const [index, [name, points]] of Object.entries(LANES).entries()) {
  test(`the leader is killed at each point: ${name}`, async (t) => {
    t.timeout(280_000);
    await using bench = await startKillBench(etcd, `/lane${index}`);
    await bench.apply({ "t/release": release(bench) });
    // Something older, to be tidied away.
    await throughWithout(t, bench);
    for (const point of points) {
      const began = systemClock.mono();
      await SCENARIOS[stepOf(point)](t, bench, point);
      t.log(`${point}: ${Math.round(systemClock.mono() - began)} ms`);
    }
    const runs = points.filter((point) => SCENARIOS[stepOf(point)] === throughRun).length + 1;
    t.is(bench.starts("*").filter((task) => task === "d").length, runs, "no run beside those that were asked for");
    await settled(t, bench);
  });
}

async function throughWithout(t: ExecutionContext, bench: KillBench): Promise<void> {
  const id = await goThrough(bench);
  t.is((await bench.run(id, "it has ended", hasEnded)).state, "succeeded", "without a death");
}

test("a leader that freezes before a transaction, longer than its session lives, and then sends it: refused", async (t) => {
  t.timeout(280_000);
  await using bench = await startKillBench(etcd, "/frozen");
  await bench.apply({ "t/release": release(bench) });
  await throughWithout(t, bench);
  const points = pointsOf("before", [
    "start",
    "order",
    "file",
    "takeEnd",
    "audit",
    "confirm",
    "notify",
    "finish",
    "tidy",
    "gather",
    "seal",
    "note",
  ]);
  for (const point of points) {
    const id = await bench.freezeAt(point, () => goThrough(bench));
    await lookAt(t, bench, point, id);
  }
  t.is(bench.starts("*").length, 6 * (points.length + 1), "no run beside these");
  await settled(t, bench);
});

test("the write of a leader that is none any more is refused, although nothing else has changed", async (t) => {
  t.timeout(120_000);
  await using bench = await startKillBench(etcd, "/both");
  await bench.apply({ "t/p": { tasks: [jobTask(bench, "a")] } });
  const look = async () =>
    (await bench.kv.range(prefixRange(bench.keys.runsOf("t", "p")))).kvs.map(({ key, modRevision }) => [key, modRevision]);
  const [before, after] = await bench.freezeBothAt("start:before", () => start(bench, "t/p"), look);
  t.is(before.length, 1);
  t.deepEqual(after, before);
  const id = String(before[0]?.[0]).split("/").at(-1) ?? "";
  t.is((await bench.run(id, "it ends", hasEnded)).state, "succeeded");
  t.deepEqual(bench.starts("*"), ["a"]);
});

/** Everything is done, and nothing was sent under two ids. */
async function settled(t: ExecutionContext, { kv, keys, target }: KillBench): Promise<void> {
  const deliveries = async () => (await kv.range(prefixRange(keys.deliveries))).kvs.map(({ value }) => JSON.parse(value) as Delivery);
  await eventually("nothing waits in the outbox", async () => (await kv.range(prefixRange(keys.outbox))).count === 0);
  await eventually("all is delivered", async () => (await deliveries()).every(({ state }) => state === "delivered"));
  const ids = new Map<string, Set<string>>();
  for (const { body } of target.received) {
    const { id, notices } = body as { id: string; notices: { id: string }[] };
    for (const notice of notices) ids.set(notice.id, (ids.get(notice.id) ?? new Set()).add(id));
  }
  t.true(ids.size > 0);
  t.deepEqual(
    [...ids].filter(([, of]) => of.size !== 1),
    [],
    "notices under two ids",
  );
  for (const prefix of [keys.unfinishedAll, keys.requests, keys.ends]) t.is((await kv.range(prefixRange(prefix))).count, 0, prefix);
}

test("every step is passed somewhere, and met on both sides here", (t) => {
  const root = join(import.meta.dirname, "../../packages/master/src");
  const text = globSync("{leader,ops,pipelines,triggers}/*.ts", { cwd: root })
    .map((file) => readFileSync(join(root, file), "utf8"))
    .join("\n");
  for (const step of STEPS) t.regex(text, new RegExp(`["?.(\\[ ]${step}\\b`), step);
  const met = Object.values(LANES).flat();
  t.deepEqual([...met].sort(), STEPS.flatMap((step) => [`${step}:after`, `${step}:before`]).sort());
});
