/** What is read through the history: runs that have left etcd, only the caller's groups, the command line; and an SQLite file without room or folder. */
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createCli } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { joinFleet, keys, newId, someRecord } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { type Answer, type MasterProcess, startMasterProcess } from "../support/master.ts";
import { startPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/processes.ts";
import { smallDisk } from "../support/small-disk.ts";

type Page = { items: ExecutionRecord[]; next?: string; notice?: string };
type Info = {
  history: { state: string; waiting: number; error?: { code: string; message: string }; facts?: { records: number; runs: number } };
};

const history = async (master: MasterProcess) => (await master.ask<Info>("GET", "/info")).body.history;

async function putRun(kv: Kv, group: string, id: string, state: string, more: object = {}): Promise<void> {
  const at = toIso(systemClock.now());
  const run = {
    v: 1,
    id,
    group,
    pipeline: "p",
    attempt: 1,
    state,
    createdAt: at,
    queuedAt: at,
    endedAt: at,
    by: "ann",
    trigger: "manual",
    labels: {},
    part: "main",
    tasks: {},
    ...more,
  };
  const plan = { v: 1, run: id, group, id: "p", name: "a pipeline", revision: 7, values: { color: "red" }, tasks: [], labels: {} };
  await kv.txn({
    then: [
      { op: "put", key: keys.plan(group, "p", id), value: JSON.stringify(plan) },
      { op: "put", key: keys.run(group, "p", id), value: JSON.stringify(run) },
    ],
  });
}

const dropRun = (kv: Kv, group: string, id: string) =>
  kv.txn({
    then: [
      { op: "delete", key: keys.run(group, "p", id) },
      { op: "delete", key: keys.plan(group, "p", id) },
    ],
  });

test("why tells of ticks whose records have left etcd", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess(etcd);
  const agent = await joinFleet(kv, "a");
  const dueMs = Math.floor(systemClock.now() / 60_000) * 60_000;
  const createdAt = toIso(dueMs - 3_600_000);
  const spec = { run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "* * * * *" }] };
  const job = { v: 1, group: "g", id: "j", createdAt, updatedAt: createdAt, submittedAt: createdAt, spec };
  await kv.txn({ then: [{ op: "put", key: keys.job("g", "j"), value: JSON.stringify(job) }] });
  const execution = newId(dueMs);
  const end = { endTime: toIso(dueMs + 2000), success: false, outcome: { type: "exit", code: 3 } } as const;
  await agent.deliver(someRecord("a", "g/j", { ...end, execution, id: `${execution}-1`, ruleId: "r1", dueAt: toIso(dueMs) }));
  await eventually("it is archived", async () => (await history(master)).facts?.records === 1);
  const { start, end: stop } = prefixRange(keys.recordsOf("g", "j"));
  await kv.txn({ then: [{ op: "deleteRange", key: start, end: stop }] });
  const why = await master.ask<{ verdict: string; text: string }>("GET", `/jobs/g/j/why?at=${toIso(dueMs)}`);
  t.like(why.body, { verdict: "fired" });
  t.regex(why.body.text, /It ran on a.*exit:3/);
});

for (const kind of ["sqlite", "postgres"] as const) {
  test(`${kind}: runs that have left etcd are shown and listed, as they ended last, and only to those who reach their group`, async (t) => {
    await using etcd = await startEtcd();
    await using server = kind === "postgres" ? await startPostgres() : undefined;
    const kv = openEtcdKv(etcd, { clock: systemClock });
    await using master = await startMasterProcess({ ...etcd, args: ["--history", server?.url() ?? "sqlite"] });
    const ids = Array.from({ length: 12 }, () => newId());
    for (const [i, id] of ids.entries()) await putRun(kv, i % 2 === 0 ? "even" : "odd", id, "failed");
    await eventually("all are archived", async () => (await history(master)).facts?.runs === 12);
    await putRun(kv, "even", ids[0]!, "active", { attempt: 2 });
    await putRun(kv, "even", ids[0]!, "succeeded", { attempt: 2, message: "the second time" });
    const list = async (query: string, token?: string) => {
      const found: string[] = [];
      for (let cursor: string | undefined = ""; cursor !== undefined; ) {
        const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const { status, body }: Answer<{ items: { id: string }[]; next?: string }> = await master.ask(
          "GET",
          `/runs?limit=5${query}${cursor === "" ? "" : `&cursor=${cursor}`}`,
          undefined,
          headers,
        );
        t.is(status, 200);
        found.push(...body.items.map(({ id }) => id));
        cursor = body.next;
      }
      return found;
    };
    const newestFirst = [...ids].reverse();
    for (const [i, id] of ids.entries()) if (i < 9 && i > 0) await dropRun(kv, i % 2 === 0 ? "even" : "odd", id);
    t.deepEqual(await list(""), newestFirst);
    // The one that was run again is told as it is in etcd, then as it ended last.
    t.deepEqual(await list("&state=failed"), newestFirst.slice(0, -1));
    await eventually("the second end is archived", async () => {
      const { body } = await master.ask<{ items: unknown[] }>("GET", "/runs?state=succeeded");
      return body.items.length === 1 && (await history(master)).waiting === 0;
    });
    await dropRun(kv, "even", ids[0]!);
    const shown = await master.ask<{ id: string; message: string; name: string; params: object }>("GET", `/runs/${ids[0]}`);
    t.deepEqual([shown.body.message, shown.body.name, shown.body.params], ["the second time", "a pipeline", { color: "red" }]);
    t.deepEqual(await list("&state=succeeded"), [ids[0]]);
    t.deepEqual(
      await list("&pipeline=odd/p"),
      newestFirst.filter((id) => ids.indexOf(id) % 2 === 1),
    );
    t.is((await master.ask("GET", `/runs/${newId()}`)).body.code, "pipeline/no-run");

    const made = await master.ask<{ token: string }>("POST", "/tokens", { role: "viewer", groups: ["even"] });
    t.deepEqual(
      await list("", made.body.token),
      newestFirst.filter((id) => ids.indexOf(id) % 2 === 0),
    );
    const limited = { authorization: `Bearer ${made.body.token}` };
    t.is((await master.ask("GET", `/runs/${ids[1]}`, undefined, limited)).body.code, "pipeline/no-run");
    t.is((await master.ask("GET", `/runs/${ids[2]}`, undefined, limited)).body.id, ids[2]);
    await kv.close();
  });
}

test("records of other groups are not read through the history by those who are limited to some", async (t) => {
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess(etcd);
  const agent = await joinFleet(kv, "a");
  const records = Array.from({ length: 60 }, (_, i) => someRecord("a", `g${i % 3}/j`, { command: `word${i}` }));
  for (const record of records) await agent.deliver(record);
  await eventually("all are archived", async () => (await history(master)).facts?.records === 60);
  await kv.txn({
    then: [0, 1, 2].map((i) => ({
      op: "deleteRange" as const,
      key: keys.recordsOf(`g${i}`, "j"),
      end: `${keys.recordsOf(`g${i}`, "j")}~`,
    })),
  });
  const made = await master.ask<{ token: string }>("POST", "/tokens", { role: "viewer", groups: ["g0", "g2"] });
  const headers = { authorization: `Bearer ${made.body.token}` };
  const found: string[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const page: { body: Page } = await master.ask<Page>(
      "GET",
      `/records?limit=7${cursor === "" ? "" : `&cursor=${cursor}`}`,
      undefined,
      headers,
    );
    found.push(...page.body.items.map(({ id }) => id));
    cursor = page.body.next;
  }
  t.deepEqual(
    found,
    records
      .filter((_, i) => i % 3 !== 1)
      .map(({ id }) => id)
      .reverse(),
  );
  for (const query of ["group=g1", "job=g1/j", "text=word1"])
    t.deepEqual((await master.ask<Page>("GET", `/records?${query}`, undefined, headers)).body.items, [], query);
  t.is((await master.ask("GET", `/records/${records[1]!.id}`, undefined, headers)).body.code, "record/not-found");
  t.is((await master.ask("GET", `/executions/${records[1]!.execution}`, undefined, headers)).body.code, "execution/not-found");
  t.is((await master.ask("GET", `/records/${records[0]!.id}`, undefined, headers)).body.id, records[0]!.id);

  using folder = tempFolder();
  const cli = createCli(folder.path, { FLEETCRON_SERVER: master.url, FLEETCRON_TOKEN: master.token });
  t.is((await cli(["record", "ls", "--text", "word17", "-o", "name"])).out, `${records[17]!.id}\n`);
  t.is((await cli("record ls --group g1 --limit 100 -o name")).out.split("\n").length, 21);
  t.regex((await cli(`record show ${records[5]!.id}`)).out, /word5/);
  t.regex((await cli("doctor")).out, /ok\s+history: .*history\.db; 60 records/);
  await kv.close();
});

test("an SQLite file without room: records are filed and stay in etcd, and are archived when there is room", async (t) => {
  using disk = smallDisk(t, 24 * 2 ** 20);
  if (disk === undefined) return;
  await using etcd = await startEtcd();
  const kv = openEtcdKv(etcd, { clock: systemClock });
  await using master = await startMasterProcess({ ...etcd, args: ["--history", `sqlite:${disk.path}/h.db`] });
  await eventually("it is open", async () => (await history(master)).state === "ok");
  disk.fill(0);
  const agent = await joinFleet(kv, "a");
  const records = Array.from({ length: 300 }, (_, i) =>
    someRecord("a", "g/j", { output: { tail: `line ${i} `.repeat(400), cutBytes: 0, totalBytes: 1 } }),
  );
  for (let at = 0; at < records.length; at += 25) await Promise.all(records.slice(at, at + 25).map((record) => agent.deliver(record)));
  await eventually("all are filed", async () => (await kv.range({ ...prefixRange(keys.records), countOnly: true })).count === 300);
  const told = await eventually("it is told", async () => {
    const now = await history(master);
    return now.state === "away" ? now : undefined;
  });
  t.regex(told.error?.message ?? "", /full/);
  disk.empty();
  await eventually("all are archived", async () => (await history(master)).facts?.records === 300, 90_000);
  await kv.close();
});

test("an SQLite file that cannot be made is told, and the master works", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd, args: ["--history", "sqlite:/proc/no/such.db"] });
  const told = await eventually("it is told", async () => {
    const now = await history(master);
    return now.state === "away" ? now : undefined;
  });
  t.regex(told.error?.message ?? "", /\/proc\/no\/such\.db/);
  t.is((await master.ask("GET", "/records")).status, 200);
});
