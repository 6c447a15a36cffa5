/** `Idempotency-Key` on POSTs: two real masters on a real etcd, asked again, at once, otherwise, and through a connection that loses answers. */
import { createHash, randomUUID } from "node:crypto";
import test from "ava";
import type { RunResult } from "fleetcron/http/api-schema";
import type { PipelineRunPage, PipelineRunView } from "fleetcron/http/pipeline-schema";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createCli, expectRun } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { joinFleet, keys, put } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type Answer, type MasterProcess, startMasterProcess } from "../support/master.ts";
import { failed, startOrderWorker } from "../support/order-worker.ts";
import { hasEnded, runUntil, task } from "../support/pipelines.ts";
import { tempFolder } from "../support/processes.ts";
import { startHttpTarget } from "../support/targets.ts";

const shared = {} as { etcd: EtcdServer; kv: Kv; a: MasterProcess; b: MasterProcess };
test.before(async () => {
  const etcd = await startEtcd();
  const a = await startMasterProcess(etcd);
  const b = await startMasterProcess({ ...etcd, token: a.token });
  Object.assign(shared, { etcd, a, b, kv: openEtcdKv(etcd, { clock: systemClock }) });
});
test.after.always(async () => {
  await shared.kv?.close();
  await Promise.all([shared.a?.kill(), shared.b?.kill()]);
  await shared.etcd?.stop();
});

const post = <T>(master: MasterProcess, path: string, key: string, body: unknown = {}): Promise<Answer<T>> =>
  master.ask<T>("POST", path, body, { "idempotency-key": key });
const isReplay = ({ headers }: Answer<unknown>) => headers.get("idempotency-replayed") === "true";
async function pipeline(id: string, spec: Partial<PipelineSpec> = {}): Promise<void> {
  const { status, body } = await shared.a.ask("PUT", `/pipelines/${id}`, {
    spec: spec.stages === undefined ? { tasks: [task("a")], ...spec } : spec,
  });
  if (status !== 200) throw new Error(JSON.stringify(body));
}
const runsOf = async (id: string) => (await shared.a.ask<PipelineRunPage>("GET", `/runs?pipeline=${id}`)).body.items;
const job = (id: string, kind: string) =>
  shared.a.ask("PUT", `/jobs/${id}`, { spec: { kind, run: { command: { script: "true" } }, rules: [{ mode: "manyonce" }] } });
const ordersOf = async (id: string) =>
  (await shared.kv.range(prefixRange(keys.ordersAll))).kvs.filter(
    ({ value }) => `${JSON.parse(value).group}/${JSON.parse(value).job}` === id,
  );

test.serial("a run of a pipeline: asked for again, at another master, many times at once, it is one run and one answer", async (t) => {
  await pipeline("i/p", { params: [{ name: "N", value: "0" }] });
  const first = await post<PipelineRunView>(shared.a, "/pipelines/i/p/run", "k1");
  t.is(first.status, 200);
  t.false(isReplay(first));
  for (const master of [shared.a, shared.b]) {
    const again = await post<PipelineRunView>(master, "/pipelines/i/p/run", "k1");
    t.deepEqual([again.status, again.body, isReplay(again)], [200, first.body, true]);
  }
  for (let round = 0; round < 10; round++) {
    const asked = Array.from({ length: 8 }, (_, i) =>
      post<PipelineRunView>(i % 2 ? shared.a : shared.b, "/pipelines/i/p/run", `r${round}`),
    );
    const answers = await Promise.all(asked);
    t.deepEqual(new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)).size, 1, `round ${round}`);
  }
  t.is((await runsOf("i/p")).length, 11);
  t.is((await post<PipelineRunView>(shared.a, "/pipelines/i/p/run", "k2")).status, 200);
  t.is((await runsOf("i/p")).length, 12, "another key is another run");
});

test.serial("another request under a key is refused; the key of somebody else is another key", async (t) => {
  await pipeline("i/q", { params: [{ name: "N", value: "0" }] });
  const first = await post<PipelineRunView>(shared.a, "/pipelines/i/q/run", "shared", { params: { N: "1" } });
  t.is(first.status, 200);
  for (const [path, body] of [
    ["/pipelines/i/q/run", { params: { N: "2" } }],
    ["/pipelines/i/p/run", { params: { N: "1" } }],
  ] as const) {
    const other = await post<{ code: string; detail: string; hint: string }>(shared.b, path, "shared", body);
    t.like(other, { status: 422, body: { code: "input/key-reused" } });
    t.regex(other.body.detail, /^the Idempotency-Key shared came with another request at 20/);
  }
  const bad = await post<{ code: string }>(shared.a, "/pipelines/i/q/run", "with space");
  t.like(bad, { status: 400, body: { code: "input/usage" } });
  const token = randomUUID();
  const sha256 = createHash("sha256").update(token).digest("hex");
  await put(
    shared.kv,
    keys.token("ann"),
    JSON.stringify({ v: 1, id: "ann", sha256, role: "operator", name: "ann", createdAt: toIso(systemClock.now()) }),
  );
  const own = await eventually("the token is known", async () => {
    const headers = { authorization: `Bearer ${token}`, "idempotency-key": "shared" };
    const answer = await shared.a.ask<PipelineRunView>("POST", "/pipelines/i/q/run", { params: { N: "2" } }, headers);
    return answer.status === 200 && answer;
  });
  t.not(own.body.id, first.body.id);
});

test.serial("a run of a job: one order for each node, and the same answer", async (t) => {
  const nodes = await Promise.all(["x1", "x2", "x3"].map((id) => joinFleet(shared.kv, id, {})));
  for (const kind of ["common", "interval"]) {
    const id = `i/${kind}`;
    await job(id, kind);
    await eventually("the nodes are known", async () => (await post(shared.b, `/jobs/${id}/run`, `look-${kind}`)).status === 200);
    const before = (await ordersOf(id)).length;
    for (let round = 0; round < 10; round++) {
      const asked = Array.from({ length: 8 }, (_, i) => post<RunResult>(i % 2 ? shared.a : shared.b, `/jobs/${id}/run`, `${kind}${round}`));
      const answers = await Promise.all(asked);
      t.deepEqual(new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)).size, 1, `${kind} ${round}`);
      const stored = await ordersOf(id);
      const per = kind === "common" ? 3 : 1;
      t.is(stored.length - before, (round + 1) * per, `${kind} ${round}`);
      for (const { order, node } of answers[0]?.body.orders ?? []) t.true(stored.some(({ key }) => key === keys.order(node, order)));
    }
  }
  for (const node of nodes) await node.vanish();
});

test.serial("what failed is not kept: the same key works once it can", async (t) => {
  await job("i/later", "interval");
  const refused = await post<{ code: string }>(shared.a, "/jobs/i/later/run", "later");
  t.like(refused, { status: 409, body: { code: "node/none-matching" } });
  const node = await joinFleet(shared.kv, "y1", {});
  const done = await eventually("it works", async () => {
    const answer = await post<RunResult>(shared.a, "/jobs/i/later/run", "later");
    return answer.status === 200 && answer;
  });
  t.deepEqual((await post(shared.b, "/jobs/i/later/run", "later")).body, done.body);
  t.is((await ordersOf("i/later")).length, 1);
  await node.vanish();
});

test.serial("a rerun that is asked for again after its end is not another one", async (t) => {
  let orders = 0;
  await using _worker = await startOrderWorker(shared.kv, { w1: {} }, () => (++orders === 1 ? failed() : {}));
  await pipeline("i/again");
  const { body } = await post<PipelineRunView>(shared.a, "/pipelines/i/again/run", "again");
  await runUntil(shared.a, body.id, "it fails", ({ state }) => state === "failed");
  const first = await post<PipelineRunView>(shared.a, `/runs/${body.id}/rerun`, "rerun");
  t.is(first.status, 200);
  await runUntil(shared.a, body.id, "it works", ({ state }) => state === "succeeded");
  t.deepEqual((await post(shared.b, `/runs/${body.id}/rerun`, "rerun")).body, first.body);
  t.is((await runUntil(shared.a, body.id, "it has ended", hasEnded)).attempt, 2);
});

test.serial("keys live for a day or more, small; of a large answer the run as it is now is given", async (t) => {
  const tasks = Array.from({ length: 400 }, (_, i) => task(`t${i}`, { job: { run: { command: { script: "true" } } } }));
  await pipeline("i/large", { stages: [{ name: "s", parallel: true, tasks }] });
  const first = await post<PipelineRunView>(shared.a, "/pipelines/i/large/run", "large");
  t.is(first.status, 200, JSON.stringify(first.body));
  const again = await post<PipelineRunView>(shared.b, "/pipelines/i/large/run", "large");
  t.is(again.body.id, first.body.id);
  t.is((await runsOf("i/large")).length, 1);
  const kept = (await shared.kv.range(prefixRange(`${keys.prefix}/once/`))).kvs;
  t.true(kept.length > 20);
  for (const { value, lease } of kept) {
    t.true(value.length < 65_536);
    t.not(lease, undefined);
  }
  const answer = await fetch(`${shared.etcd.endpoint}/v3/lease/timetolive`, {
    method: "POST",
    body: JSON.stringify({ ID: kept[0]?.lease }),
  });
  t.true(Number(((await answer.json()) as { TTL: string }).TTL) > 86_000);
  t.is((await shared.a.ask("POST", `/runs/${first.body.id}/cancel`, {})).status, 200);
});

test.serial("the command line repeats what has lost its answer, and starts it once", async (t) => {
  await pipeline("i/cli");
  await job("i/cli", "interval");
  const node = await joinFleet(shared.kv, "z1", {});
  await using lossy = await startHttpTarget(async ({ path, headers, text }, count) => {
    const isPost = path.endsWith("/run");
    const { authorization = "", "idempotency-key": key = "" } = headers as Record<string, string>;
    const more = isPost
      ? { method: "POST", body: text, headers: { authorization, "content-type": "application/json", "idempotency-key": key } }
      : { headers: { authorization } };
    const answer = await fetch(shared.a.url + path, more);
    const body = await answer.text();
    return isPost && count < 2 ? "reset" : { status: answer.status, body };
  });
  using folder = tempFolder();
  const cli = createCli(folder.path, { FLEETCRON_SERVER: lossy.url, FLEETCRON_TOKEN: shared.a.token });
  await expectRun(t, cli, "pipeline run i/cli", { code: 0, out: /^run \w{26} of i\/cli is asked for/ });
  t.is((await runsOf("i/cli")).length, 1);
  await eventually("the node is known", async () => (await shared.a.ask("GET", "/nodes/z1")).status === 200);
  await expectRun(t, cli, "job run i/cli", { code: 0, out: /z1/ });
  t.is((await ordersOf("i/cli")).length, 1);
  const posts = lossy.received.filter(({ path }) => path.endsWith("/run"));
  t.is(posts.length, 6);
  t.is(new Set(posts.map(({ headers }) => headers["idempotency-key"])).size, 2);
  await node.vanish();
});
