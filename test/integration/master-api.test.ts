import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { prefixRange } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { failToServe, startMasterProcess } from "../support/master.ts";
import { tempFolder } from "../support/processes.ts";

const jobFile = (jobs: Record<string, string>) => ({
  name: "jobs.yaml",
  text: `jobs:\n${Object.entries(jobs)
    .map(([key, rest]) => `  ${key}: { run: { command: { script: "true" } }, ${rest} }\n`)
    .join("")}`,
});
const HOURLY = 'rules: [{ mode: cycle, timer: "@hourly", target: { labels: { role: db } } }]';

test("dispatches follow jobs, labels and nodes", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const held = async () => (await kv.range(prefixRange(keys.dispatches))).kvs.map((entry) => entry.key.slice(keys.dispatches.length));
  const dispatched = (want: string[]) => eventually(want.join(), async () => JSON.stringify(await held()) === JSON.stringify(want));
  await joinFleet(kv, "a", { role: "db" });
  const b = await joinFleet(kv, "b", { role: "web" });

  t.is((await master.ask("POST", "/apply", { files: [jobFile({ "g/x": `kind: interval, ${HOURLY}`, "g/y": HOURLY })] })).status, 200);
  await dispatched(["a/g/x", "a/g/y"]);
  await master.ask("PATCH", "/nodes/b/labels", { set: { role: "db" } });
  await dispatched(["a/g/x", "a/g/y", "b/g/x", "b/g/y"]);
  const value = JSON.parse((await kv.get(keys.dispatch("a", "g", "x")))!.value) as { rules: unknown };
  t.deepEqual(value.rules, { r1: ["a", "b"] }, "the peers share the claims");
  await kv.txn({
    then: [
      { op: "delete", key: keys.dispatch("a", "g", "y") },
      { op: "put", key: keys.dispatch("zombie", "g", "y"), value: "{}" },
    ],
  });
  await dispatched(["a/g/x", "a/g/y", "b/g/x", "b/g/y"]);

  t.is((await master.ask("DELETE", "/nodes/b")).status, 409, "an online node is not forgotten");
  await b.vanish();
  await eventually("b is offline", async () => (await master.ask("GET", "/nodes/b")).body.online === false);
  t.is((await master.ask("DELETE", "/nodes/b")).status, 200);
  await dispatched(["a/g/x", "a/g/y"]);
  t.is((await master.ask("POST", "/apply", { prune: true, files: [jobFile({ "g/x": HOURLY })] })).status, 200);
  await dispatched(["a/g/x"]);
  await kv.close();
});

test("apply writes all or nothing, and conditional writes conflict", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const names = async () => (await master.ask<{ items: { id: string }[] }>("GET", "/jobs")).body.items.map(({ id }) => id);

  const bad = await master.ask("POST", "/apply", {
    files: [
      jobFile({ "g/good": HOURLY }),
      {
        name: "b.yaml",
        text: 'jobs:\n  g/bad:\n    run: { command: { script: "x" } }\n    rules: [{ mode: cycle, timer: "61 * * * *" }]\n',
      },
    ],
  });
  t.is(bad.status, 400);
  t.like((bad.body.issues as object[])[0], { file: "b.yaml", line: 4 });
  t.deepEqual(await names(), []);

  const dry = await master.ask<{ changes: object[] }>("POST", "/apply", { dryRun: true, files: [jobFile({ "g/good": HOURLY })] });
  t.like(dry.body.changes[0], { key: "g/good", action: "created" });
  t.deepEqual(await names(), []);

  const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`g/j${String(n).padStart(3, "0")}`, HOURLY]));
  t.is((await master.ask<{ changes: object[] }>("POST", "/apply", { files: [jobFile(many)] })).body.changes.length, 300);
  const first = await master.ask<{ items: object[]; next: string }>("GET", "/jobs?limit=200&sort=-key");
  const second = await master.ask<{ items: object[]; next?: string }>("GET", `/jobs?limit=200&sort=-key&cursor=${first.body.next}`);
  t.deepEqual([first.body.items.length, second.body.items.length, second.body.next], [200, 100, undefined]);

  const job = await master.ask("GET", "/jobs/g/j000");
  const spec = { run: { command: { script: "false" } }, rules: [{ mode: "onlyonce" }] };
  const etag = job.headers.get("etag")!;
  const changed = await master.ask("PUT", "/jobs/g/j000", { spec }, { "if-match": etag });
  t.is(changed.status, 200);
  t.is((await master.ask("PUT", "/jobs/g/j000", { spec: { ...spec, name: "n" } }, { "if-match": etag })).status, 409);
  const paused = await master.ask("POST", "/jobs/g/j000/pause");
  t.is(paused.body.submittedAt, changed.body.submittedAt, "pausing is no submission");
  t.is((await master.ask("POST", "/jobs/g/j000/pause")).body.revision, paused.body.revision, "idempotent");
  t.is((await master.ask("DELETE", "/jobs/g/j000")).status, 200);
  t.is((await master.ask("GET", "/jobs/g/j000")).status, 404);
});

test("only a token gets in; errors are problems; a large body is refused", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const without = await fetch(`${master.url}/api/v1/jobs`);
  t.deepEqual([without.status, without.headers.get("content-type")], [401, "application/problem+json"]);
  t.is((await master.ask("GET", "/jobs", undefined, { authorization: "Bearer wrong" })).status, 403);
  t.is((await fetch(`${master.url}/readyz`)).status, 200);
  t.like((await master.ask("GET", "/nowhere")).body, { status: 404, code: "route/not-found" });
  t.like((await master.ask("GET", "/jobs?limit=x")).body, { status: 400, code: "input/usage" });
  t.like((await master.ask("GET", "/jobs?cursor=x")).body, { status: 400, code: "input/usage" });
  t.like((await master.ask("GET", "/jobs/..%2F..%2Fx/y")).body, { status: 400 });
  t.like((await master.ask("POST", "/apply", { files: [{ name: "x", text: "x".repeat(13 * 2 ** 20) }] })).body, {
    status: 413,
    code: "input/too-large",
  });
  t.is((await master.ask("GET", "/info")).status, 200);
  t.is(await master.stop(), 0);
});

test("a master that cannot start says why, with the exit code", async (t) => {
  await using etcd = await startEtcd();
  using folder = tempFolder();
  const data = ["--data-dir", folder.file("data")];
  const at = ["--etcd", etcd.endpoint, "--listen", "127.0.0.1:0"];
  t.like(await failToServe(["--etcd", "http://127.0.0.1:1", ...data]), { code: 6 });
  t.like(await failToServe([...at, "--data-dir", "/proc/nowhere"]), { code: 2 });
  t.like(await failToServe(["--listen", "0.0.0.0:0", ...data]), { code: 2 });
  t.like(await failToServe([...at, ...data], { FLEETCRON_MASTER_PREFX: "/x" }), { code: 2 });
  await using master = await startMasterProcess({ ...etcd, dataFolder: folder.file("data") });
  const taken = await failToServe(["--etcd", etcd.endpoint, "--listen", new URL(master.url).host, ...data]);
  t.is(taken.code, 2);
  t.regex(taken.text, /taken by another program/);
  const foreign = await failToServe([...at, ...data, "--prefix", "/other"]);
  t.is(foreign.code, 4);
  t.regex(foreign.text, /belongs to cluster/);
});
