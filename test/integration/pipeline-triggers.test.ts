/** Timers, pipelines that follow others, queues and notices, on a real etcd and real masters; leaders are killed under them. */
import test from "ava";
import type { PipelineRunPage, PipelineRunSummary, PipelineView } from "fleetcron/http/pipeline-schema";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { Delivery, Notice } from "fleetcron-shared/model/notice";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { keys, put } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { failed, startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, startRun, task } from "../support/pipelines.ts";

type World = { readonly kv: Kv; readonly etcd: EtcdServer; readonly master: MasterProcess };
const ARGS = ["--session-ttl", "2s"];

async function inWorld(act: (world: World) => Promise<void>): Promise<void> {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess({ ...etcd, args: ARGS });
  await act({ kv, etcd, master }).finally(() => kv.close());
}

const runsOf = async (kv: Kv, pipeline: string): Promise<RunDocument[]> => {
  const [group = "", id = ""] = pipeline.split("/");
  return (await kv.range(prefixRange(keys.runsOf(group, id)))).kvs.map(({ value }) => JSON.parse(value) as RunDocument);
};
async function store(master: MasterProcess, pipelines: Readonly<Record<string, PipelineSpec>>): Promise<void> {
  const { status, body } = await master.ask("POST", "/apply", { files: [{ name: "p.json", text: JSON.stringify({ pipelines }) }] });
  if (status !== 200) throw new Error(JSON.stringify(body));
}
const asked = async (master: MasterProcess, path: string) =>
  (await master.ask<PipelineRunPage>("GET", `/runs?${path}`)).body.items as PipelineRunSummary[];

test("a timer's tick is one run in the cluster, however often the leader dies", (t) =>
  inWorld(async ({ kv, etcd, master }) => {
    await using _worker = await startOrderWorker(kv, { a: {} }, () => ({}));
    await using second = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });
    const rule = { timer: "* * * * * *", misfire: "all" } as const;
    const triggers = [{ name: "tick", rule, params: { DUE: "${due}" } }];
    await store(master, { "g/p": { params: [{ name: "DUE" }], tasks: [task("a")], triggers, retain: { count: 1000 } } });
    const dues = async () =>
      (await kv.range(prefixRange(`${keys.prefix}/plans/`))).kvs.map(({ value }) => JSON.parse(value).values.DUE as string);
    await eventually("it ticks", async () => (await dues()).length >= 2);
    await master.kill();
    const killedAt = toIso(systemClock.now());
    await using third = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });
    await eventually("the next leader goes on", async () => (await dues()).filter((due) => due > killedAt).length >= 3);
    await second.kill();
    const again = toIso(systemClock.now());
    await eventually("and the one after it", async () => (await dues()).filter((due) => due > again).length >= 2);
    const all = (await dues()).map((due) => Date.parse(due)).sort((a, b) => a - b);
    const first = all[0] ?? 0;
    t.deepEqual(
      all,
      all.map((_, index) => first + index * 1000),
      "each second once, none twice, none forgotten",
    );
    t.like((await runsOf(kv, "g/p"))[0], { trigger: "rule/tick", by: "timer" });
    t.is((await third.ask("DELETE", "/pipelines/g/p")).status, 200);
    await eventually("nothing is left of the timer", async () => (await kv.range(prefixRange(keys.ticks))).count === 0);
  }));

test("ticks that passed while nobody led: once, skip, all; what did not run is told", (t) =>
  inWorld(async ({ kv, etcd, master }) => {
    const now = systemClock.now();
    const minutes = [10, 8, 6, 4, 2].map((back) => new Date(now - back * 60_000).getUTCMinutes()).join(",");
    const pipeline = (misfire: "once" | "skip" | "all", more: Partial<PipelineSpec> = {}): PipelineSpec => ({
      tasks: [task("a")],
      triggers: [{ name: "t", rule: { timer: `${minutes} * * * *`, misfire } }],
      ...more,
    });
    const channels = { ops: { webhook: { url: "http://192.0.2.1/" } } };
    const notify = [{ on: ["missed" as const], to: ["ops"] }];
    const broken: Partial<PipelineSpec> = { params: [{ name: "NEEDED", required: true }], notify };
    const pipelines = {
      ...{ "g/once": pipeline("once"), "g/skip": pipeline("skip", { notify }), "g/all": pipeline("all") },
      ...{ "g/broken": pipeline("once", broken), "g/paused": pipeline("all") },
    };
    const paused = pipelines["g/paused"];
    const files = {
      channels,
      pipelines: { ...pipelines, "g/paused": { ...paused, triggers: paused.triggers?.map((one) => ({ ...one, pause: true })) } },
    };
    const applied = await master.ask("POST", "/apply", { files: [{ name: "p.json", text: JSON.stringify(files) }] });
    t.is(applied.status, 200, JSON.stringify(applied.body));
    const cursors = async () => (await kv.range(prefixRange(keys.ticks))).kvs;
    await eventually("each timer has begun", async () => (await cursors()).length === 5);
    t.is((await kv.range(prefixRange(keys.runs))).count, 0, "ticks from before it was there are none of its");
    await master.stop();
    for (const { key, value } of await cursors())
      await put(kv, key, JSON.stringify({ ...JSON.parse(value), at: toIso(now - 11 * 60_000) }));
    await using next = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });
    await eventually("all are dealt with", async () =>
      (await cursors()).every(({ value }) => JSON.parse(value).at > toIso(now - 3 * 60_000)),
    );
    const counts = await Promise.all(Object.keys(pipelines).map(async (name) => [name, (await runsOf(kv, name)).length]));
    t.deepEqual(Object.fromEntries(counts), { "g/once": 1, "g/skip": 0, "g/all": 5, "g/broken": 0, "g/paused": 0 }, next.log());
    const titles = await eventually("what did not run is told", async () => {
      const found = await noticesIn(kv);
      return found.length >= 2 && found.map(({ title }) => title).sort();
    });
    t.regex(titles[0] ?? "", /^g\/broken was not started by its trigger t: .*NEEDED/);
    t.regex(titles[1] ?? "", /^g\/skip was not started by its trigger t: no master led/);
  }));

/** Every notice that was made, wherever it is by now. */
async function noticesIn(kv: Kv): Promise<Pick<Notice, "title" | "events" | "id" | "subject">[]> {
  const waiting = (await kv.range(prefixRange(keys.outbox))).kvs.map(({ value }) => JSON.parse(value) as Notice);
  const deliveries = (await kv.range(prefixRange(keys.deliveries))).kvs.map(({ value }) => JSON.parse(value) as Delivery);
  return [...waiting, ...deliveries.flatMap(({ items }) => items.map(({ notice }) => notice))];
}

test("a pipeline follows another with its params and outputs; a circle comes to its end, once each, though the leader dies", (t) =>
  inWorld(async ({ kv, etcd, master }) => {
    const gate = Promise.withResolvers<void>();
    await using worker = await startOrderWorker(kv, { n: {} }, async (order) => {
      const { FLEETCRON_TASK: name } = order.env ?? {};
      if ((name === "a" || name === "b") && worker.count("b") >= 2) await gate.promise;
      return name === "build" ? { result: { outputs: { IMAGE: "app:7" } } } : name === "breaks" ? failed() : {};
    });
    const follow = (after: string, on?: "failed") => ({ after, ...(on === undefined ? {} : { on: [on] }) });
    await store(master, {
      "g/build": { params: [{ name: "BRANCH", value: "main" }], tasks: [task("build")] },
      "g/deploy": {
        params: [{ name: "IMAGE", required: true }, { name: "BRANCH" }, { name: "FROM" }],
        tasks: [task("deploy")],
        triggers: [
          {
            name: "built",
            pipeline: follow("g/build"),
            params: { IMAGE: "${IMAGE}", BRANCH: "${BRANCH}", FROM: "${pipeline} ${run} ${state}" },
          },
        ],
      },
      "g/alarm": { tasks: [task("alarm")], triggers: [{ name: "broken", pipeline: follow("g/breaks", "failed") }] },
      "g/never": { tasks: [task("never")], triggers: [{ name: "good", pipeline: follow("g/breaks") }] },
      "g/breaks": { tasks: [task("breaks")] },
      "g/a": { tasks: [task("a")], triggers: [{ name: "b", pipeline: follow("g/b") }] },
      "g/b": { tasks: [task("b")], triggers: [{ name: "a", pipeline: follow("g/a") }] },
    });
    const start = async (name: string) => String((await master.ask("POST", `/pipelines/g/${name}/run`, {})).body.id);
    const built = await start("build");
    await start("breaks");
    const [deploy] = await eventually("it follows", async () => {
      const found = await runsOf(kv, "g/deploy");
      return found.length > 0 && found;
    });
    const view = await runUntil(master, deploy?.id ?? "", "it ends", hasEnded);
    t.like(view, { state: "succeeded", trigger: "pipeline/built", by: `g/build ${built}` });
    t.deepEqual(view.params, { IMAGE: "app:7", BRANCH: "main", FROM: `g/build ${built} succeeded` });
    await eventually("the failure is followed", async () => worker.count("alarm") === 1);

    await start("a");
    await eventually("they follow each other", async () => (await runsOf(kv, "g/b")).length >= 2);
    await using next = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });
    gate.resolve();
    await master.kill();
    // Between a run's end and the next run neither key is there in two reads one after the other: the last word is in the log.
    await eventually("the circle ends", async () => {
      if (!/trigger could not start a run/.test(next.log())) return false;
      const [open, ends] = [await kv.range(prefixRange(keys.unfinishedAll)), await kv.range(prefixRange(keys.ends))];
      return open.count + ends.count === 0;
    });
    const circle = [...(await runsOf(kv, "g/a")), ...(await runsOf(kv, "g/b"))];
    t.deepEqual(
      circle.map(({ chain = 0 }) => chain).sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    t.is(worker.count("never"), 0);
    t.is((await runsOf(kv, "g/deploy")).length, 1);
  }));

test("runs with the same value queue first come first served: by label or param, visible, cancellable, a rerun too", (t) =>
  inWorld(async ({ kv, master }) => {
    const gates = new Map<string, () => void>();
    await using worker = await startOrderWorker(
      kv,
      { a: {}, b: {} },
      (order) => new Promise((resolve) => gates.set(order.env?.FLEETCRON_RUN ?? "", () => resolve({}))),
    );
    const spec: PipelineSpec = { params: [{ name: "env", value: "dev" }], tasks: [task("a")], sequential: "env" };
    const start = async (env?: string) => startRun(master, spec, { params: env === undefined ? {} : { env } });
    const active = (id: string) => eventually(`${id} runs`, async () => gates.has(id));
    const first = await start();
    await active(first);
    const [second, third, fourth] = [await start("dev"), await start(), await start("dev")];
    const other = await start("prod");
    await active(other);
    const queued = await asked(master, "state=queued");
    t.deepEqual(
      queued.map(({ id, position, sequence }) => [id, position, sequence]),
      [
        [fourth, 3, "dev"],
        [third, 2, "dev"],
        [second, 1, "dev"],
      ],
    );
    t.is((await master.ask("POST", `/runs/${third}/cancel`, { reason: "not needed" })).status, 200);
    t.deepEqual(
      (await asked(master, "state=queued")).map(({ position }) => position),
      [2, 1],
    );
    gates.get(first)?.();
    await active(second);
    t.is((await runUntil(master, first, "it ends", hasEnded)).state, "succeeded");

    t.is((await master.ask("POST", `/runs/${first}/rerun`, {})).status, 200);
    const again = await asked(master, "state=queued");
    t.deepEqual(
      again.map(({ id, position }) => [id, position]),
      [
        [fourth, 1],
        [first, 2],
      ],
      "what runs again queues behind the others",
    );
    gates.delete(first);
    gates.get(second)?.();
    await active(fourth);
    t.false(gates.has(first));
    gates.get(fourth)?.();
    await active(first);
    t.is(worker.count("a"), 5, "the cancelled one never began");
  }));

test("a queue goes on when the leader is killed under the run at its head", (t) =>
  inWorld(async ({ kv, etcd, master }) => {
    const gate = Promise.withResolvers<void>();
    await using worker = await startOrderWorker(kv, { a: {} }, () => gate.promise.then(() => ({})));
    await using next = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });
    const spec: PipelineSpec = { labels: { lane: "x" }, tasks: [task("a"), task("b", { needs: ["a"] })], sequential: "lane" };
    const ids: string[] = [];
    for (let i = 0; i < 15; i++) ids.push(await startRun(master, spec));
    gate.resolve();
    await eventually("some are through", async () => worker.count("b") >= 3);
    await master.kill();
    for (const id of ids) t.is((await runUntil(next, id, "it ends", hasEnded)).state, "succeeded");
    t.deepEqual(
      worker.orders.map(({ order }) => order.env?.FLEETCRON_RUN),
      ids.flatMap((id) => [id, id]),
      "one after the other, in order, each task once",
    );
  }));

test("notices of runs: failures in a row, recovery, decisions, tasks, cancelled; each once though the leader dies", (t) =>
  inWorld(async ({ kv, etcd, master }) => {
    let broken = true;
    await using _worker = await startOrderWorker(kv, { a: {} }, () => (broken ? failed(3) : {}));
    const missing = await master.ask("PUT", "/pipelines/g/p", {
      spec: { tasks: [task("a")], notify: [{ on: ["success"], to: ["nope"] }] },
    });
    t.deepEqual([missing.status, missing.body.code], [400, "input/invalid"]);
    const channel = (url: string) => ({ atMostEvery: "0", webhook: { url } });
    const rule = (to: string, ...on: ("finalFailure" | "recovery" | "waiting" | "taskFailed" | "cancelled" | "every")[]) => ({
      on,
      to: [to],
    });
    const spec: PipelineSpec = {
      tasks: [task("build"), task("deploy", { needs: ["build"], audit: { auditors: ["admin", "ann"] } })],
      notify: [rule("ends", "finalFailure", "recovery", "cancelled"), rule("people", "waiting", "taskFailed"), rule("all", "every")],
    };
    const channels = { ends: channel("http://192.0.2.1/"), people: channel("http://192.0.2.1/"), all: channel("http://192.0.2.1/") };
    const file = { channels, pipelines: { "g/p": spec } };
    t.is((await master.ask("POST", "/apply", { files: [{ name: "p.json", text: JSON.stringify(file) }] })).status, 200);
    const inUse = await master.ask("DELETE", "/channels/ends");
    t.deepEqual([inUse.status, inUse.body.code], [409, "channel/in-use"]);
    await using next = await startMasterProcess({ ...etcd, args: ARGS, token: master.token });

    const run = async (at: MasterProcess) => String((await at.ask("POST", "/pipelines/g/p/run", {})).body.id);
    const [one, two] = [await run(master), await run(master)];
    for (const id of [one, two]) t.is((await runUntil(master, id, "it fails", hasEnded)).state, "failed");
    await master.kill();
    broken = false;
    const three = await run(next);
    await runUntil(next, three, "it asks", (view) => view.tasks.some(({ state }) => state === "waitingAudit"));
    t.is((await next.ask("POST", `/runs/${three}/tasks/deploy/approve`, {})).status, 200);
    t.is((await runUntil(next, three, "it succeeds", hasEnded)).state, "succeeded");
    const four = await run(next);
    await runUntil(next, four, "it asks", (view) => view.tasks.some(({ state }) => state === "waitingAudit"));
    t.is((await next.ask("POST", `/runs/${four}/cancel`, { reason: "lunch" })).status, 200);

    const told = await eventually("all is told", async () => {
      const deliveries = (await kv.range(prefixRange(keys.deliveries))).kvs.map(({ value }) => JSON.parse(value) as Delivery);
      const found = deliveries.flatMap(({ channel: name, items }) => items.map(({ notice }) => ({ name, ...notice })));
      return (await kv.range(prefixRange(keys.outbox))).count === 0 && found.some(({ events }) => events[0] === "cancelled") && found;
    });
    const titles = (name: string) =>
      told
        .filter((notice) => notice.name === name)
        .map(({ title, subject }) => [subject.run, title.replace(/, until .*/, "")])
        .sort();
    const [failure, ...rest] = titles("ends");
    t.regex(failure?.[1] ?? "", /^g\/p failed: .*build/);
    t.deepEqual(rest, [
      [three, "g/p works again, after 2 failures"],
      [four, "g/p was cancelled: cancelled by admin: lunch"],
    ]);
    t.deepEqual(titles("people"), [
      [one, "g/p failed at task build: exit:3 on a"],
      [two, "g/p failed at task build: exit:3 on a"],
      [three, "g/p waits for admin or ann to approve task deploy"],
      [four, "g/p waits for admin or ann to approve task deploy"],
    ]);
    t.is(new Set(titles("all").map(String)).size, titles("all").length, "nothing is told twice");
    t.is(titles("all").length, 8);
    t.is((await kv.range(prefixRange(keys.streaks))).count, 0, "nothing fails any more");
  }));

test("show tells of triggers with their addresses and next ticks; wrong ones are refused with their lines", (t) =>
  inWorld(async ({ master }) => {
    const spec: PipelineSpec = {
      tasks: [task("a")],
      triggers: [
        { name: "nightly", rule: { timer: "0 3 * * *", timezone: "Europe/Berlin" } },
        { name: "push", gitlab: { secret: { env: "FLEETCRON_SECRET_X" }, events: ["push", "tag"], branches: ["main", "/^x/"] } },
      ],
    };
    await store(master, { "g/p": spec });
    const { body } = await master.ask<PipelineView>("GET", "/pipelines/g/p");
    const [nightly, push] = body.triggers ?? [];
    t.is(nightly?.next?.length, 5);
    t.deepEqual(push, { name: "push", kind: "gitlab", words: "push to main, /^x/; tag all", hook: "/api/v1/hooks/g/p/push" });
    const text = ["pipelines:", "  g/q:", "    tasks: [{ name: a, job: { run: { command: { script: 'true' } } } }]", "    triggers:"];
    const lines = [
      "      - name: past",
      "        rule: { timer: '@at 2020-01-01T00:00:00Z' }",
      "      - name: after",
      "        pipeline: { after: g/pp }",
    ];
    const refused = await master.ask("POST", "/apply", { files: [{ name: "q.yaml", text: [...text, ...lines].join("\n") }] });
    t.is(refused.status, 400);
    t.deepEqual(
      (refused.body.issues as { file: string; line: number; path: string; hint?: string }[]).map(({ file, line, path, hint }) => [
        file,
        line,
        path,
        hint,
      ]),
      [
        ["q.yaml", 7, "pipelines.g/q.triggers[1].pipeline.after", 'did you mean "g/p"?'],
        ["q.yaml", 5, "pipelines.g/q.triggers[0].rule.timer", undefined],
      ],
    );
  }));
