/** What pipelines of mflow stumbled over at its API, on a real etcd and a real master (docs/mflow-faults.md). */
import { createHash } from "node:crypto";
import test from "ava";
import type { PipelineRunPage, PipelineRunView } from "fleetcron/http/pipeline-schema";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { keys, put } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { type OrderWorker, startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, startRun, statesOf, task } from "../support/pipelines.ts";

/** `open` lets an order that waits come to its end, by the name of its task. */
const shared = {} as { etcd: EtcdServer; kv: Kv; master: MasterProcess; worker: OrderWorker; open: Map<string, () => void> };
test.before(async () => {
  const etcd = await startEtcd();
  const master = await startMasterProcess(etcd);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const open = new Map<string, () => void>();
  const worker = await startOrderWorker(kv, { n1: {} }, async ({ env }) => {
    const name = env?.FLEETCRON_TASK ?? "";
    if (name.startsWith("slow")) await new Promise<void>((resolve) => open.set(`${env?.FLEETCRON_RUN} ${name}`, resolve));
    return {};
  });
  Object.assign(shared, { etcd, master, kv, worker, open });
});
test.after.always(async () => {
  await shared.worker?.[Symbol.asyncDispose]();
  await shared.kv?.close();
  await shared.master?.kill();
  await shared.etcd?.stop();
});

const audited: PipelineSpec = { tasks: [task("a", { audit: { auditors: ["admin"] } })] };
const decide = (run: string, word: string, body: object = {}) => shared.master.ask("POST", `/runs/${run}/tasks/a/${word}`, body);
const waits = (run: string) => runUntil(shared.master, run, "it asks", (view) => statesOf(view).a === "waitingAudit");

test.serial("an audit cannot be got round: not by an edit of the pipeline, not by another way to start a task", async (t) => {
  const id = await startRun(shared.master, audited, {}, "f/audit");
  await waits(id);
  t.is((await shared.master.ask("PUT", "/pipelines/f/audit", { spec: { tasks: [task("a")] } })).status, 200);
  for (const path of ["run", "start", "status"]) t.is((await shared.master.ask("POST", `/runs/${id}/tasks/a/${path}`, {})).status, 404);
  const early = await shared.master.ask<{ code: string }>("PUT", `/runs/${id}/tasks/a/status`, { state: "succeeded", force: true });
  t.like(early, { status: 409, body: { code: "pipeline/not-now" } });
  t.is(statesOf((await shared.master.ask<PipelineRunView>("GET", `/runs/${id}`)).body).a, "waitingAudit");
  t.is(shared.worker.orders.filter(({ order }) => order.env?.FLEETCRON_RUN === id).length, 0);
  t.is((await decide(id, "approve")).status, 200);
  t.is((await runUntil(shared.master, id, "it ends", hasEnded)).state, "succeeded");
});

test.serial("two runs that ask at once are decided each by itself", async (t) => {
  const [one = "", two = ""] = [await startRun(shared.master, audited, {}, "f/two"), await startRun(shared.master, audited, {}, "f/two")];
  await Promise.all([waits(one), waits(two)]);
  t.is((await decide(two, "deny", { comment: "not this one" })).status, 200);
  t.is((await runUntil(shared.master, two, "it ends", hasEnded)).state, "failed");
  t.is(statesOf((await shared.master.ask<PipelineRunView>("GET", `/runs/${one}`)).body).a, "waitingAudit");
  t.is((await decide(one, "approve")).status, 200);
  t.is((await runUntil(shared.master, one, "it ends", hasEnded)).state, "succeeded");
});

test.serial("an update token is shown to its command alone, and who may only read can change nothing", async (t) => {
  const id = await startRun(shared.master, { tasks: [task("slow-m", { manualStatus: true })] }, {}, "f/token");
  await eventually("it is ordered", async () => shared.open.has(`${id} slow-m`));
  const order = shared.worker.orders.find(({ order }) => order.env?.FLEETCRON_RUN === id)?.order;
  const token = order?.env?.FLEETCRON_TASK_TOKEN ?? "";
  t.true(token.length > 30);
  const shown = await Promise.all([`/runs/${id}`, "/runs?limit=1000", "/pipelines/f/token"].map((path) => shared.master.ask("GET", path)));
  const hash = createHash("sha256").update(token).digest("hex");
  for (const { body } of shown) t.notRegex(JSON.stringify(body), new RegExp(`${token}|${hash}|tokenHash`));
  const stored = (await shared.kv.range(prefixRange(`${keys.prefix}/`))).kvs.filter(
    ({ key, value }) => value.includes(token) && !key.includes("/orders/"),
  );
  t.deepEqual(stored, [], "etcd has its hash, but for the order itself");
  await put(
    shared.kv,
    keys.token("eve"),
    JSON.stringify({
      v: 1,
      id: "eve",
      sha256: createHash("sha256").update("eve").digest("hex"),
      role: "viewer",
      name: "eve",
      createdAt: toIso(systemClock.now()),
    }),
  );
  const asEve = (method: string, path: string, body?: unknown) => shared.master.ask(method, path, body, { authorization: "Bearer eve" });
  await eventually("eve may read", async () => (await asEve("GET", `/runs/${id}`)).status === 200);
  for (const [method, path, body] of [
    ["PUT", `/runs/${id}/tasks/slow-m/status`, { state: "succeeded" }],
    ["PUT", `/runs/${id}/tasks/slow-m/status`, { state: "succeeded", force: true }],
    ["POST", `/runs/${id}/cancel`, {}],
    ["POST", "/pipelines/f/token/run", {}],
    ["PUT", "/pipelines/f/token", { spec: audited }],
  ] as const)
    t.is((await asEve(method, path, body)).status, 403, `${method} ${path}`);
  shared.open.get(`${id} slow-m`)?.();
  const status = await shared.master.ask(
    "PUT",
    `/runs/${id}/tasks/slow-m/status`,
    { state: "succeeded" },
    { authorization: `Bearer ${token}` },
  );
  t.is(status.status, 200);
  t.is((await runUntil(shared.master, id, "it ends", hasEnded)).state, "succeeded");
});

test.serial("a run keeps what it was made of: edits of its pipeline and its jobs change nothing, nor what a rerun does", async (t) => {
  const job = (text: string) =>
    shared.master.ask("PUT", "/jobs/f/work", { spec: { run: { command: { script: text } }, rules: [{ mode: "manyonce" }], pause: true } });
  await job("echo one");
  const spec: PipelineSpec = { stages: [{ name: "s", tasks: [task("slow-a"), { name: "b", job: "f/work" }] }] };
  const id = await startRun(shared.master, spec, {}, "f/kept");
  await eventually("the first runs", async () => shared.open.has(`${id} slow-a`));
  await job("echo two");
  t.is((await shared.master.ask("PUT", "/pipelines/f/kept", { spec: { tasks: [task("other")] } })).status, 200);
  shared.open.get(`${id} slow-a`)?.();
  await runUntil(shared.master, id, "it ends", ({ state }) => state === "succeeded");
  t.is((await shared.master.ask("POST", `/runs/${id}/rerun`, { from: "b" })).status, 200);
  await runUntil(shared.master, id, "it ends again", ({ state, attempt }) => state === "succeeded" && attempt === 2);
  const scripts = shared.worker.orders.flatMap(({ order }) =>
    order.env?.FLEETCRON_RUN === id && order.env.FLEETCRON_TASK === "b" ? [order.spec.run.command?.script] : [],
  );
  t.deepEqual(scripts, ["echo one", "echo one"]);
});

test.serial("queues are the pipeline's own, and a run without the label queues too", async (t) => {
  const slow: PipelineSpec = { sequential: "env", tasks: [task("slow-a")] };
  const runs = [
    await startRun(shared.master, slow, { labels: { env: "prod" } }, "f/q1"),
    await startRun(shared.master, slow, { labels: { env: "prod" } }, "f/q2"),
    await startRun(shared.master, slow, {}, "f/q1"),
  ];
  for (const id of runs) await eventually(`${id} runs beside the others`, async () => shared.open.has(`${id} slow-a`));
  const next = await startRun(shared.master, slow, {}, "f/q1");
  const queued = await shared.master.ask<PipelineRunPage>("GET", "/runs?pipeline=f/q1&state=queued");
  t.like(queued.body.items[0], { id: next, position: 1 });
  for (const id of runs) shared.open.get(`${id} slow-a`)?.();
  await eventually("the next one", async () => shared.open.has(`${next} slow-a`));
  shared.open.get(`${next} slow-a`)?.();
  for (const id of [...runs, next]) t.is((await runUntil(shared.master, id, "it ends", hasEnded)).state, "succeeded");
});

test.serial("more runs than a page holds are all listed, each once, of the asked pipeline alone", async (t) => {
  const mine: string[] = [];
  for (let count = 0; count < 45; count++) {
    const spec = { tasks: [task("a")] };
    if (count % 2 === 0) await startRun(shared.master, spec, {}, "f/others");
    mine.push(await startRun(shared.master, spec, {}, "f/paged"));
  }
  const listed: string[] = [];
  let cursor: string | undefined;
  do {
    const more: string = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = await shared.master.ask<PipelineRunPage>("GET", `/runs?pipeline=f/paged&limit=20${more}`);
    listed.push(...body.items.map(({ id }) => id));
    cursor = body.next;
  } while (cursor !== undefined);
  t.deepEqual(listed, mine.reverse());
});
