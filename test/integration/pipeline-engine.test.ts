/** The pipeline engine on a real etcd and a real master; the agents are the test's. */
import { createHash } from "node:crypto";
import test from "ava";
import type { PipelineRunSummary, PipelineRunView } from "fleetcron/http/pipeline-schema";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { keys } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { failed, startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, startRun, statesOf, task, taskOfRun } from "../support/pipelines.ts";

type World = { readonly kv: Kv; readonly master: MasterProcess };

async function inWorld(act: (world: World) => Promise<void>, args: readonly string[] = []): Promise<void> {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess({ ...etcd, args });
  await act({ kv, master }).finally(() => kv.close());
}

const count = async (kv: Kv, prefix: string) => (await kv.range({ ...prefixRange(prefix), keysOnly: true })).kvs.length;

test.serial("a serial pipeline runs task by task, and leaves nothing behind", (t) =>
  inWorld(async ({ kv, master }) => {
    await using worker = await startOrderWorker(kv, { a: {} }, () => ({}));
    const id = await startRun(master, { stages: [{ name: "s", tasks: [task("one"), task("two"), task("three")] }] });
    const run = await runUntil(master, id, "the run ends", hasEnded);
    t.is(run.state, "succeeded", JSON.stringify(run));
    t.deepEqual(
      worker.orders.map(({ order }) => order.env?.FLEETCRON_TASK),
      ["one", "two", "three"],
    );
    const records = (await kv.range(prefixRange(keys.records))).kvs.map(({ value }) => JSON.parse(value));
    t.deepEqual(records.map(({ runId, taskId, jobId }) => [runId, taskId, jobId]).sort(), [
      [id, "one", "p.one"],
      [id, "three", "p.three"],
      [id, "two", "p.two"],
    ]);
    await eventually("no request is left", async () => (await count(kv, keys.requests)) === 0);
    t.is(await count(kv, keys.unfinishedAll), 0);
  }),
);

test.serial("stages with fan-out, audit, outputs and confirm; params and outputs reach the commands", (t) =>
  inWorld(async ({ kv, master }) => {
    const web = { role: "web" };
    await using worker = await startOrderWorker(kv, { ci: { role: "ci" }, w1: web, w2: web, w3: web }, (order) =>
      order.env?.FLEETCRON_TASK === "build" ? { result: { outputs: { IMAGE: "app:7" } } } : {},
    );
    const argv = { run: { command: { argv: ["deploy", "${IMAGE}"] } }, params: [{ name: "IMAGE", usage: "template" as const }] };
    const id = await startRun(
      master,
      {
        params: [{ name: "BRANCH", value: "main" }],
        stages: [
          {
            name: "ci",
            parallel: true,
            tasks: [task("build", { target: { labels: { role: "ci" } } }), task("test", { sameNodeAs: "build" })],
          },
          {
            name: "roll",
            tasks: [
              task("deploy", {
                job: argv,
                audit: { auditors: ["admin"] },
                forEachNode: true,
                target: { labels: web },
                confirm: { checkers: ["admin"] },
              }),
            ],
          },
          { name: "after", tasks: [task("tell", { when: { IMAGE: "app:7", BRANCH: "dev" } })] },
        ],
      },
      { params: { BRANCH: "dev" } },
    );
    await runUntil(master, id, "it asks before the roll-out", (run) => taskOfRun(run, "deploy")?.state === "waitingAudit");
    t.is(worker.count("deploy"), 0);
    const runs = await master.ask<{ items: PipelineRunSummary[] }>("GET", "/runs?state=unfinished");
    t.deepEqual(
      runs.body.items.map((run) => [run.id, run.waiting]),
      [[id, ["deploy"]]],
    );

    t.is((await master.ask("POST", `/runs/${id}/tasks/deploy/deny`, {})).status, 400, "a comment is needed");
    t.is((await master.ask("POST", `/runs/${id}/tasks/build/approve`, {})).status, 409);
    t.is((await master.ask("POST", `/runs/${id}/tasks/nope/approve`, {})).status, 404);
    t.is((await master.ask("POST", `/runs/${id}/tasks/deploy/approve`, { comment: "go" })).status, 200);
    t.is((await master.ask("POST", `/runs/${id}/tasks/deploy/approve`, {})).status, 200, "again");
    const opposite = await master.ask("POST", `/runs/${id}/tasks/deploy/deny`, { comment: "no" });
    t.deepEqual([opposite.status, opposite.body.code], [409, "pipeline/decided"]);

    const asked = await runUntil(master, id, "it asks about the result", (run) => taskOfRun(run, "deploy")?.state === "waitingConfirm");
    const deploys = worker.orders.filter(({ order }) => order.env?.FLEETCRON_TASK === "deploy");
    t.deepEqual(deploys.map(({ node }) => node).sort(), ["w1", "w2", "w3"]);
    t.deepEqual(deploys[0]?.order.spec.run, { command: { argv: ["deploy", "app:7"] } });
    t.like(deploys[0]?.order.env, { FLEETCRON_RUN: id, FLEETCRON_API: master.url });
    t.like(deploys[0]?.order.spec.env, { IMAGE: "app:7", BRANCH: "dev" });
    t.is(taskOfRun(asked, "tell")?.state, "pending");
    t.is((await master.ask("POST", `/runs/${id}/tasks/deploy/confirm`, {})).status, 200);
    t.is((await runUntil(master, id, "it ends", hasEnded)).state, "succeeded");
    t.is(worker.count("tell"), 1);
    t.is(
      new Set(worker.orders.filter(({ order }) => ["build", "test"].includes(order.env?.FLEETCRON_TASK ?? "")).map(({ node }) => node))
        .size,
      1,
    );
  }),
);

test.serial("cancel kills what runs; rerun goes on from the failed task", (t) =>
  inWorld(async ({ kv, master }) => {
    let broken = true;
    await using worker = await startOrderWorker(kv, { a: {}, b: {} }, (order) => {
      const name = order.env?.FLEETCRON_TASK;
      if (name === "hangs") return broken ? undefined : {};
      return name === "flaky" && broken ? failed(3) : {};
    });
    const spec = { stages: [{ name: "s", tasks: [task("first"), task("flaky"), task("hangs")] }], finally: [task("clean")] };
    const id = await startRun(master, spec);
    const run = await runUntil(master, id, "it fails", hasEnded);
    t.is(run.message, `task flaky failed: exit:3 on ${taskOfRun(run, "flaky")?.instances?.[0]?.node}`);
    t.deepEqual(statesOf(run), { first: "succeeded", flaky: "failed", hangs: "cancelled", clean: "succeeded" });
    t.is((await master.ask("POST", `/runs/${id}/cancel`, {})).body.code, "pipeline/not-now");

    broken = false;
    t.is((await master.ask("POST", `/runs/${id}/rerun`, { from: "flaky" })).status, 200);
    const again = await runUntil(master, id, "it succeeds", hasEnded);
    t.like(again, { state: "succeeded", attempt: 2 });
    t.deepEqual([worker.count("first"), worker.count("flaky"), worker.count("clean")], [1, 2, 2]);

    broken = true;
    const other = await startRun(master, { stages: [{ name: "s", tasks: [task("hangs"), task("last")] }], finally: [task("clean")] });
    await runUntil(master, other, "it is ordered", () => worker.orders.at(-1)?.order.env?.FLEETCRON_TASK === "hangs");
    t.is((await master.ask("POST", `/runs/${other}/cancel`, { reason: "wrong one" })).status, 200);
    const gone = await runUntil(master, other, "it is cancelled", hasEnded);
    t.like(gone, { state: "cancelled", message: "cancelled by admin: wrong one" });
    t.deepEqual(statesOf(gone), { hangs: "cancelled", last: "cancelled", clean: "succeeded" });
    t.deepEqual(worker.kills, [worker.orders.find(({ order }) => order.env?.FLEETCRON_RUN === other)?.order.execution]);
  }),
);

test.serial("a task's status from outside: its token, or an operator", (t) =>
  inWorld(async ({ kv, master }) => {
    await using worker = await startOrderWorker(kv, { a: {} }, () => ({}));
    const id = await startRun(master, { tasks: [task("roll", { manualStatus: true }), task("last", { needs: ["roll"] })] });
    await runUntil(master, id, "its job is done", (run) => taskOfRun(run, "roll")?.wait?.for === "status");
    const token = worker.orders[0]?.order.env?.FLEETCRON_TASK_TOKEN ?? "";
    t.is(token.length, 43);
    const report = (body: object, bearer: string) =>
      master.ask<PipelineRunView>("PUT", `/runs/${id}/tasks/roll/status`, body, { authorization: `Bearer ${bearer}` });
    t.is((await report({ state: "succeeded" }, "wrong")).status, 403);
    t.is((await report({ state: "succeeded", force: true }, token)).status, 403, "force needs an access token");
    t.is((await report({ state: "succeeded" }, master.token)).status, 403, "an access token needs force");
    t.is((await report({ state: "active", message: "3 of 5" }, token)).status, 200);
    const shown = await master.ask("GET", `/runs/${id}`);
    t.false(
      JSON.stringify(shown.body).includes(token) || JSON.stringify(shown.body).includes(createHash("sha256").update(token).digest("hex")),
    );
    t.is((await report({ state: "succeeded" }, token)).status, 200);
    t.is((await report({ state: "active" }, token)).status, 200, "late, and harmless");
    t.is((await report({ state: "failed" }, token)).body.state === undefined, true);
    t.is((await runUntil(master, id, "it ends", hasEnded)).state, "succeeded");
    const forced = await startRun(master, { tasks: [task("roll", { manualStatus: true })] });
    await runUntil(master, forced, "its job is done", (run) => taskOfRun(run, "roll")?.wait?.for === "status");
    const word = await master.ask<PipelineRunView>("PUT", `/runs/${forced}/tasks/roll/status`, {
      state: "failed",
      message: "gave up",
      force: true,
    });
    t.is(word.body.message, "task roll failed: gave up (by admin)");
  }),
);

test.serial("runs with the same value of the label go one after the other; a cancelled one lets the next go", (t) =>
  inWorld(async ({ kv, master }) => {
    await using worker = await startOrderWorker(kv, { a: {} }, () => undefined);
    const spec = { sequential: "env", tasks: [task("hangs")] };
    const start = (env: string) => startRun(master, spec, { labels: { env } });
    const [one, two, three, other] = [await start("prod"), await start("prod"), await start("prod"), await start("test")];
    const active = (id: string) => runUntil(master, id, "it is active", (run) => run.state === "active");
    await active(one);
    await active(other);
    const queue = await master.ask<{ items: PipelineRunSummary[] }>("GET", "/runs?state=queued");
    t.deepEqual(
      queue.body.items.map(({ id, sequence }) => [id, sequence]),
      [
        [three, "prod"],
        [two, "prod"],
      ],
    );
    await master.ask("POST", `/runs/${two}/cancel`, {});
    await master.ask("POST", `/runs/${one}/cancel`, {});
    await active(three);
    t.like((await master.ask("GET", `/runs/${two}`)).body, { state: "cancelled", message: "cancelled by admin before it began" });
    t.is(worker.count("hangs"), 3);
  }),
);

test.serial("a node that vanishes fails its task, which is tried elsewhere", (t) =>
  inWorld(
    async ({ kv, master }) => {
      await using worker = await startOrderWorker(kv, { a: {}, b: {} }, (_, node) => (node === "a" ? undefined : {}));
      const id = await startRun(master, { tasks: [task("x", { target: { prefer: ["a"] }, retry: { limit: 1, delay: "0" } })] });
      await runUntil(master, id, "it is ordered", () => worker.count("x") === 1);
      t.is(worker.orders[0]?.node, "a");
      await worker.agents.get("a")?.vanish();
      const run = await runUntil(master, id, "it ends", hasEnded);
      t.is(run.state, "succeeded", JSON.stringify(run));
      t.like(taskOfRun(run, "x"), { attempt: 2, history: [{ nodes: ["a"], message: "lost with its node on a" }] });
      t.is(worker.orders[1]?.node, "b");
    },
    ["--lost-after", "1s"],
  ),
);

test.serial("old runs go with their plans, one that is not over stays", (t) =>
  inWorld(async ({ kv, master }) => {
    await using _worker = await startOrderWorker(kv, { a: {} }, (order) => (order.spec.env?.HANGS === "yes" ? undefined : {}));
    const spec = { retain: { count: 2 }, params: [{ name: "HANGS", value: "no" }], tasks: [task("x")] };
    const first = await startRun(master, spec, { params: { HANGS: "yes" } });
    const others: string[] = [];
    for (let at = 0; at < 4; at++) {
      others.push(await startRun(master, spec));
      await runUntil(master, others.at(-1) ?? "", "it ends", hasEnded);
    }
    const idsOf = async (prefix: string) => (await kv.range(prefixRange(prefix))).kvs.map(({ key }) => keys.parts(key).at(-1));
    await eventually("two are left, and the first", async () => (await idsOf(keys.runs)).length === 3);
    t.deepEqual(await idsOf(keys.runs), [first, ...others.slice(-2)]);
    t.deepEqual(await idsOf(keys.plan("g", "p", "x").slice(0, -1)), [first, ...others.slice(-2)]);
  }),
);

test.serial("no node, then one comes", (t) =>
  inWorld(async ({ kv, master }) => {
    const id = await startRun(master, { tasks: [task("x")] });
    const waiting = await runUntil(master, id, "it waits", (run) => taskOfRun(run, "x")?.message !== undefined);
    t.is(taskOfRun(waiting, "x")?.message, "no registered node matches its target");
    await using _worker = await startOrderWorker(kv, { a: {} }, () => ({}));
    t.is((await runUntil(master, id, "it ends", hasEnded)).state, "succeeded");
  }),
);
