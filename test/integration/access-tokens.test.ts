/** Tokens on a real etcd: roles, groups, expiry, revocation, what is stored of them, and guessing. */
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { prefixRange } from "fleetcron-shared/store/kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";

type Made = { id: string; token: string };

const JOB = { kind: "common", run: { command: { script: "true" } }, rules: [{ mode: "cycle", timer: "0 3 * * *" }] };

/** Asks with that token. */
function as(master: MasterProcess, token: string) {
  return (method: string, path: string, body?: unknown) => master.ask(method, path, body, { authorization: `Bearer ${token}` });
}

async function make(master: MasterProcess, body: object): Promise<Made> {
  const { status, body: made } = await master.ask<Made>("POST", "/tokens", body);
  if (status !== 201) throw new Error(`no token: ${JSON.stringify(made)}`);
  return made;
}

test("roles: a viewer reads, an operator works, an admin rules; nothing of a token is stored but its hash", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  const [viewer, operator] = [await make(master, { name: "vera" }), await make(master, { name: "otto", role: "operator" })];
  const [asViewer, asOperator] = [as(master, viewer.token), as(master, operator.token)];
  t.is((await asOperator("PUT", "/jobs/db/a", { spec: JOB })).status, 201);
  t.is((await asViewer("GET", "/jobs/db/a")).status, 200);
  for (const [method, path, body] of [
    ["PUT", "/jobs/db/a", { spec: JOB }],
    ["POST", "/jobs/db/a/pause"],
    ["POST", "/apply", { files: [] }],
    ["POST", "/nodes/n1/drain"],
    ["PUT", "/globals/X", { value: "1" }],
  ] as const) {
    const { status, body: problem } = await asViewer(method, path, body);
    t.like({ status, ...problem }, { status: 403, code: "auth/denied" }, `${method} ${path}`);
    t.regex(String(problem.detail), /needs the role operator, and vera has the role viewer/);
  }
  t.is((await asOperator("POST", "/jobs/db/a/pause")).status, 200);
  for (const [method, path, body] of [
    ["GET", "/tokens"],
    ["POST", "/tokens", {}],
    ["DELETE", "/tokens/admin"],
    ["GET", "/audit"],
    ["PUT", "/channels/ops", { spec: { slack: { url: "https://hooks.slack.com/x" } } }],
    ["POST", "/apply", { files: [{ name: "c.yaml", text: "channels: { ops: { slack: { url: 'https://hooks.slack.com/x' } } }" }] }],
    ["DELETE", "/secrets/db/password"],
  ] as const) {
    t.like(await asOperator(method, path, body), { status: 403, body: { code: "auth/denied" } }, `${method} ${path}`);
  }
  t.is((await master.ask("GET", "/channels")).status, 200);
  const { body: page } = await master.ask<{ items: object[] }>("GET", "/tokens");
  t.false(JSON.stringify(page).includes("sha256"));
  t.like(
    page.items.find((one) => (one as Made).id === "vera"),
    { role: "viewer", state: "active", createdBy: "admin" },
  );
  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const all = await kv.range(prefixRange("/"));
  for (const token of [viewer.token, operator.token, master.token]) t.false(all.kvs.some(({ value }) => value.includes(token)));
  await kv.close();
  t.like(await master.ask("POST", "/tokens", { name: "vera" }), { status: 409, body: { code: "token/exists" } });
  t.like(await master.ask("POST", "/tokens", { role: "king" }), { status: 400, body: { code: "input/invalid" } });
  t.like(await master.ask("POST", "/tokens", { groups: [] }), { status: 400, body: { code: "input/invalid" } });
});

test("groups: what belongs to others is not there, and nothing tells that it is", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  await master.ask("PUT", "/jobs/db/a", { spec: JOB });
  await master.ask("PUT", "/jobs/web/b", { spec: JOB });
  const pipeline = (job: string) => ({ spec: { stages: [{ name: "s", tasks: [{ name: "t", job }] }] } });
  t.is((await master.ask("PUT", "/pipelines/web/p", pipeline("db/a"))).status, 200);
  t.is((await master.ask("PUT", "/globals/X", { value: "1" })).status, 200);
  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const keys = createKeys();
  const record = (group: string, job: string, id: string) =>
    JSON.stringify({
      v: 1,
      id: `${id}-1`,
      execution: id,
      jobGroup: group,
      jobId: job,
      attempt: 1,
      jobRevision: 1,
      hostname: "n1",
      name: job,
      command: "true",
      durationMs: 1000,
      isHandled: true,
      finalAttempt: true,
      nodeId: "n1",
      outcome: { type: "exit", code: 0 },
      success: true,
      beginTime: "2026-11-21T10:00:00.000Z",
      endTime: "2026-11-21T10:00:01.000Z",
    });
  const stats = (id: string) =>
    JSON.stringify({
      v: 1,
      successCount: 1,
      failureCount: 0,
      skippedCount: 0,
      lostCount: 0,
      avgTimeMs: 1,
      streak: 1,
      last: { record: `${id}-1`, success: true, outcome: "exit:0", endTime: "2026-11-21T10:00:01.000Z", nodeId: "n1" },
    });
  const ids = { db: "01KAH000000000000000000001", web: "01KAH000000000000000000002" };
  const put = (key: string, value: string) => ({ op: "put", key, value }) as const;
  await kv.txn({
    then: [
      put(keys.record("db", "a", `${ids.db}-1`), record("db", "a", ids.db)),
      put(keys.record("web", "b", `${ids.web}-1`), record("web", "b", ids.web)),
      put(keys.stats("db", "a"), stats(ids.db)),
      put(keys.stats("web", "b"), stats(ids.web)),
      put(
        keys.secret("db", "x"),
        JSON.stringify({ v: 1, group: "db", name: "x", version: "1", target: {}, createdAt: "", updatedAt: "", by: "a" }),
      ),
      put(
        keys.secret("web", "y"),
        JSON.stringify({ v: 1, group: "web", name: "y", version: "1", target: {}, createdAt: "", updatedAt: "", by: "a" }),
      ),
    ],
  });
  const dba = await make(master, { name: "dba", role: "admin", groups: ["db"] });
  const ask = as(master, dba.token);
  const keysOf = async (path: string, shown: (item: Record<string, string>) => string | undefined) =>
    ((await ask("GET", path)).body.items as Record<string, string>[]).map(shown);
  await eventually("the records are known", async () => (await keysOf("/records", (one) => one.jobGroup)).join() === "db");
  t.deepEqual(await keysOf("/jobs", (one) => `${one.group}/${one.id}`), ["db/a"]);
  t.deepEqual(await keysOf("/records", (one) => one.jobGroup), ["db"]);
  t.deepEqual(await keysOf("/records?job=web/b", (one) => one.jobGroup), []);
  t.deepEqual(await keysOf("/executions", (one) => one.group), ["db"]);
  t.deepEqual(await keysOf("/pipelines", (one) => one.id), []);
  t.deepEqual(await keysOf("/secrets", (one) => one.group), ["db"]);
  t.is((await ask("GET", `/records/${ids.db}-1`)).status, 200);
  // What is not there and what is another's are answered alike.
  for (const [theirs, none] of [
    [`/records/${ids.web}-1`, "/records/01KAH000000000000000000009-1"],
    [`/records/${ids.web}-1?job=web/b`, "/records/01KAH000000000000000000009-1?job=web/b"],
    [`/executions/${ids.web}`, "/executions/01KAH000000000000000000009"],
    [`/executions/${ids.web}/log`, "/executions/01KAH000000000000000000009/log"],
    ["/jobs/web/b", "/jobs/web/none"],
    ["/jobs/web/b/why", "/jobs/web/none/why"],
    ["/pipelines/web/p", "/pipelines/web/none"],
  ] as const) {
    const [a, b] = [await ask("GET", theirs), await ask("GET", none)];
    t.is(a.status, b.status, theirs);
    t.is(a.body.code, b.body.code, theirs);
    t.true([403, 404].includes(a.status), theirs);
    t.is(String(a.body.hint ?? ""), String(b.body.hint ?? ""), theirs);
  }
  for (const [method, path, body] of [
    ["PUT", "/jobs/web/b", { spec: JOB }],
    ["PUT", "/jobs/web/none", { spec: JOB }],
    ["DELETE", "/jobs/web/b"],
    ["POST", "/jobs/web/b/run"],
    ["POST", "/pipelines/web/p/run"],
    ["PUT", "/pipelines/db/steal", pipeline("web/b")],
    ["POST", "/apply", { files: [{ name: "j.json", text: JSON.stringify({ jobs: { "db/c": JOB, "web/b": JOB } }) }] }],
    ["POST", "/apply", { dryRun: true, files: [{ name: "j.json", text: JSON.stringify({ jobs: { "web/b": JOB } }) }] }],
    ["POST", "/nodes/n1/drain"],
    ["GET", "/globals"],
    ["PUT", "/globals/X", { value: "2" }],
    ["GET", "/channels"],
    ["GET", "/tokens"],
    ["POST", "/tokens", {}],
    ["GET", "/audit"],
  ] as const) {
    t.like(await ask(method, path, body), { status: 403, body: { code: "auth/scope" } }, `${method} ${path}`);
  }
  t.is((await master.ask("GET", "/jobs/db/c")).status, 404, "nothing of a refused apply is written");
  t.is((await ask("PUT", "/jobs/db/c", { spec: JOB })).status, 201);
  t.is((await ask("PUT", "/pipelines/db/q", pipeline("db/a"))).status, 200);
  // A pipeline of another group keeps the job, and is not named.
  const kept = await ask("DELETE", "/jobs/db/a");
  t.like(kept, { status: 409, body: { code: "job/in-use" } });
  t.false(JSON.stringify(kept.body).includes("web/p"));
  await kv.close();
});

test("expired and revoked tokens are refused by name, at once and at every master; the last admin stays", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  await using other = await startMasterProcess({ ...etcd, token: master.token });
  const short = await make(master, { name: "short", expiresInMs: 1500 });
  t.is((await as(other, short.token)("GET", "/session")).status, 200);
  const late = await eventually("it expires", async () => {
    const answer = await as(other, short.token)("GET", "/session");
    return answer.status === 200 ? undefined : answer;
  });
  t.like(late, { status: 401, body: { code: "auth/expired" } });
  const gone = await make(master, { name: "gone", role: "admin" });
  t.is((await as(other, gone.token)("GET", "/jobs")).status, 200);
  t.like(await as(other, gone.token)("DELETE", "/tokens/gone"), { status: 200, body: { state: "revoked", revokedBy: "gone" } });
  t.like(await as(other, gone.token)("GET", "/jobs"), { status: 401, body: { code: "auth/revoked" } });
  await eventually("the other master knows", async () => (await as(master, gone.token)("GET", "/jobs")).body.code === "auth/revoked", 3000);
  t.like(await master.ask("DELETE", "/tokens/admin"), { status: 409, body: { code: "write/conflict" } });
  t.like(await master.ask("DELETE", "/tokens/nobody"), { status: 404, body: { code: "token/not-found" } });
  await eventually("the use is noted", async () => {
    const { body } = await master.ask<{ items: { id: string; lastUsedAt?: string }[] }>("GET", "/tokens");
    return body.items.find(({ id }) => id === "admin")?.lastUsedAt !== undefined;
  });
});

test("who guesses is not listened to for a while; who is known goes on", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd });
  const fresh = await make(master, { name: "fresh" });
  const codes: unknown[] = [];
  for (let n = 0; n < 14; n++) codes.push((await as(master, `fct_guess${n}`)("GET", "/jobs")).body.code);
  t.deepEqual(codes.slice(0, 10), Array(10).fill("auth/denied"));
  t.true(codes.includes("auth/locked"));
  const locked = await as(master, "fct_guess99")("GET", "/jobs");
  t.is(locked.status, 429);
  t.truthy(locked.headers.get("retry-after"));
  t.is((await as(master, fresh.token)("GET", "/jobs")).body.code, "auth/locked", "not even the right one");
  t.like(await master.ask("POST", "/session", { token: fresh.token }), { status: 429 });
  t.is((await master.ask("GET", "/jobs")).status, 200, "a token that this address has shown before");
});
