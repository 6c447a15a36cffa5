/** The archiver in real masters: each record once across killed leaders, the database away and back, what etcd keeps meanwhile, and reads through both. */
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys, put, someRecord } from "../support/fake-agent.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";
import { type MasterProcess, startMasterProcess } from "../support/master.ts";
import { PASSWORD, type PostgresServer, startPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/processes.ts";

type Info = {
  history: { kind: string; state?: string; waiting?: number; held?: number; letGo?: number; error?: { code: string; message: string } };
};
type Page = { items: ExecutionRecord[]; next?: string; notice?: string };

const JOB = (retain: number) => ({
  files: [
    {
      name: "j.yaml",
      text: `jobs:\n  g/j: { run: { command: { script: "true" } }, rules: [{ mode: cycle, timer: "@hourly" }], retain: { count: ${retain} } }\n`,
    },
  ],
});

const state = async (master: MasterProcess) => (await master.ask<Info>("GET", "/info")).body.history;
const ready = (master: MasterProcess) => eventually("the history is followed", async () => (await state(master)).state === "ok");

async function archivedIds(server: PostgresServer): Promise<string[]> {
  return (await server.query<{ id: string }>("SELECT id FROM fleetcron.records ORDER BY id")).map(({ id }) => id);
}

async function inEtcd(kv: Kv): Promise<number> {
  return (await kv.range({ ...prefixRange(keys.recordsOf("g", "j")), countOnly: true })).count;
}

/** Every page of the history. */
async function listAll(master: MasterProcess, query: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor = "";
  do {
    const { status, body } = await master.ask<Page>("GET", `/records?limit=37${query}${cursor}`);
    if (status !== 200) throw new Error(JSON.stringify(body));
    // From etcd, because that was slow for a moment: it has no statistics of these records, so it lists none.
    if (body.notice !== undefined) return ready(master).then(() => listAll(master, query));
    ids.push(...body.items.map(({ id }) => id));
    cursor = body.next === undefined ? "" : `&cursor=${body.next}`;
  } while (cursor !== "");
  return ids;
}

test("PostgreSQL: leaders are killed in the middle of batches; each record is archived once, and followers read the same", async (t) => {
  await using etcd = await startEtcd();
  await using server = await startPostgres();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const args = ["--session-ttl", "2s", "--history", server.url()];
  const masters = [await startMasterProcess({ ...etcd, args })];
  const { token } = masters[0]!;
  masters.push(await startMasterProcess({ ...etcd, args, token }));
  await masters[0]!.ask("POST", "/apply", JOB(2000));
  const agent = await joinFleet(kv, "a");
  const records = Array.from({ length: 1200 }, () => someRecord("a", "g/j"));
  for (let round = 0; round < 3; round++) {
    const part = records.slice(round * 400, (round + 1) * 400);
    const before = (await archivedIds(server).catch(() => [])).length;
    const delivered = (async () => {
      for (let at = 0; at < part.length; at += 20) await Promise.all(part.slice(at, at + 20).map((record) => agent.deliver(record)));
    })();
    await eventually("some of them are archived", async () => (await archivedIds(server).catch(() => [])).length > before);
    await masters[0]!.kill();
    await delivered;
    masters.shift();
    masters.push(await startMasterProcess({ ...etcd, args, token }));
  }
  await eventually("all are archived", async () => (await archivedIds(server)).length >= records.length, 60_000);
  t.deepEqual(await archivedIds(server), records.map(({ id }) => id).sort());
  for (const master of masters) {
    await ready(master);
    t.deepEqual((await listAll(master, "")).sort(), records.map(({ id }) => id).sort());
  }
  await Promise.all(masters.map((master) => master.stop()));
  await kv.close();
});

test("PostgreSQL away: records are filed and listed all the same, nothing leaves etcd unarchived, and all is there when it is back", async (t) => {
  await using etcd = await startEtcd();
  await using server = await startPostgres();
  await using proxy = await startFaultProxy(server.port);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const url = `postgres://fleet:${PASSWORD}@127.0.0.1:${proxy.port}/postgres`;
  await using master = await startMasterProcess({ ...etcd, args: ["--history", url] });
  await master.ask("POST", "/apply", JOB(5));
  const agent = await joinFleet(kv, "a");
  await ready(master);
  const records = Array.from({ length: 60 }, () =>
    someRecord("a", "g/j", { output: { tail: "needle in a stack", cutBytes: 0, totalBytes: 17 } }),
  );
  for (const record of records.slice(0, 20)) await agent.deliver(record);
  await eventually("the first are archived", async () => (await archivedIds(server)).length === 20);

  proxy.cut();
  const begun = systemClock.mono();
  for (const record of records.slice(20)) await agent.deliver(record);
  await eventually("all are filed", async () => (await kv.range({ ...prefixRange(keys.inbox), countOnly: true })).count === 0);
  t.true(systemClock.mono() - begun < 10_000, "filing does not wait for the history");
  await eventually("it is told", async () => (await state(master)).state === "away");
  const told = await state(master);
  t.is(told.error?.code, "history/away");
  t.notRegex(JSON.stringify(told) + master.log(), new RegExp(PASSWORD));
  const health = (await (await fetch(`${master.url}/readyz`)).json()) as { status: string; notes: string[] };
  t.is(health.status, "ok");
  t.true(health.notes.some((note) => note.startsWith("history: ")));
  const at = systemClock.mono();
  const page = await master.ask<Page>("GET", "/records?limit=500&text=needle");
  t.true(systemClock.mono() - at < 1500);
  t.regex(page.body.notice ?? "", /history does not answer/);
  t.true(page.body.items.length >= 40);
  t.is((await master.ask("GET", `/records?cursor=${Buffer.from('{"endMs":5,"id":"x"}').toString("base64url")}`)).body.code, "history/away");

  proxy.open();
  await eventually("all are archived", async () => (await archivedIds(server)).length === 60, 60_000);
  await ready(master);
  t.deepEqual(await listAll(master, "&text=needle"), records.map(({ id }) => id).reverse());
  await kv.close();
});

test("the janitor keeps what is not archived, deletes what is, and a record that has left etcd is found", async (t) => {
  await using etcd = await startEtcd();
  await using server = await startPostgres();
  await using proxy = await startFaultProxy(server.port);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const url = `postgres://fleet:${PASSWORD}@127.0.0.1:${proxy.port}/postgres`;
  await using master = await startMasterProcess({ ...etcd, args: ["--history", url] });
  await ready(master);
  proxy.cut();
  await master.ask("POST", "/apply", JOB(5));
  const agent = await joinFleet(kv, "a");
  const records = Array.from({ length: 30 }, () => someRecord("a", "g/j"));
  for (const record of records) await agent.deliver(record);
  await eventually("all are filed", async () => (await inEtcd(kv)) === 30);
  await eventually("the janitor has held some back", async () => (await state(master)).held === 25, 90_000);
  t.is(await inEtcd(kv), 30);
  proxy.open();
  await eventually("the janitor has deleted what is archived", async () => (await inEtcd(kv)) === 5, 120_000);
  t.is((await archivedIds(server)).length, 30);
  t.is((await state(master)).letGo, 0);
  const first = records[0]!;
  t.is((await master.ask("GET", `/records/${first.id}`)).body.id, first.id);
  t.is((await master.ask("GET", `/executions/${first.execution}`)).body.id, first.execution);
  t.deepEqual(await listAll(master, "&job=g/j"), records.map(({ id }) => id).reverse());
  await kv.close();
});

test("SQLite: each master fills a file of its own and lists the same; a true record replaces the provisional one everywhere", async (t) => {
  await using etcd = await startEtcd();
  using folder = tempFolder();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const args = ["--session-ttl", "2s", "--lost-after", "300ms"];
  const old = Array.from({ length: 40 }, () => ({ ...someRecord("a", "g/j"), isHandled: true, handleTime: toIso(systemClock.now()) }));
  for (const record of old) await put(kv, keys.record("g", "j", record.id), encode(record));
  await using first = await startMasterProcess({ ...etcd, args, dataFolder: folder.file("one") });
  await using second = await startMasterProcess({ ...etcd, args, token: first.token, dataFolder: folder.file("two") });
  await ready(first);
  await ready(second);
  t.is((await listAll(first, "")).length, 40, "what was there before is taken over");
  const lost = someRecord("b", "g/j", { provisional: true, success: false, outcome: { type: "lost", why: "nodeGone" } });
  await put(kv, keys.record("g", "j", lost.id), encode({ ...lost, isHandled: true, handleTime: toIso(systemClock.now()) }));
  for (const master of [first, second])
    await eventually("the verdict is listed", async () => (await listAll(master, "&outcome=lost")).length === 1);
  const truth = { ...someRecord("b", "g/j", { execution: lost.execution }), isHandled: true, handleTime: toIso(systemClock.now()) };
  await put(kv, keys.record("g", "j", lost.id), encode(truth));
  for (const master of [first, second]) {
    await eventually("the truth is listed", async () => (await listAll(master, "&outcome=lost")).length === 0);
    t.is((await listAll(master, "")).length, 41);
  }
  await first.kill();
  await using again = await startMasterProcess({ ...etcd, args, token: first.token, dataFolder: folder.file("one") });
  await ready(again);
  t.is((await listAll(again, "")).length, 41);
  await again.stop();
  await kv.close();
});

test("wrong settings are refused without telling the password; off keeps to etcd", async (t) => {
  await using etcd = await startEtcd();
  const { failToServe } = await import("../support/master.ts");
  for (const wrong of ["mysql://a:geheim@b/c", "sqlite:", "postgres://u:geheim@h/d?sslmode=prefer", "postgres://u:geheim@[/d"]) {
    const { code, text } = await failToServe(["--etcd", etcd.endpoint, "--history", wrong]);
    t.is(code, 2, text);
    t.notRegex(text, /geheim/);
  }
  await using master = await startMasterProcess({ ...etcd, args: ["--history", "off"] });
  t.deepEqual(await state(master), { kind: "off" });
  t.is((await master.ask<Page>("GET", "/records?text=x&group=g")).status, 200);
});
