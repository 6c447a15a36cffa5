import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { startEtcd } from "../support/etcd.ts";
import { type ReadEvent, readEvents } from "../support/event-reader.ts";
import { joinFleet, keys } from "../support/fake-agent.ts";
import { eventually } from "../support/fleet.ts";
import { startMasterProcess } from "../support/master.ts";

const rules = [{ mode: "cycle", timer: "@yearly" }];
const spec = (name: string) => ({ name, run: { command: { script: "true" } }, rules });
const of =
  (kind: string, key: string, gone = false) =>
  ({ event, data }: ReadEvent) =>
    event === kind && data.key === key && (data.value === undefined) === gone;

test("changes come live, by kind and group, and go on where a reader was cut off, at another master too", async (t) => {
  await using etcd = await startEtcd();
  await using first = await startMasterProcess(etcd);
  await using second = await startMasterProcess({ ...etcd, token: first.token });
  const kv = openEtcdKv(etcd, { clock: systemClock });
  using all = await readEvents(first);
  using filtered = await readEvents(first, "?kind=job&group=g");
  t.is(all.events[0]?.event ?? (await all.find("begin", () => true)).event, "begin");

  await joinFleet(kv, "a", { role: "db" });
  await first.ask("PUT", "/jobs/other/y", { spec: spec("1") });
  const put = await first.ask<{ revision: number }>("PUT", "/jobs/g/x", { spec: spec("1") });
  const event = await all.find("the job", of("job", "g/x"));
  t.is(event.data.revision, put.body.revision);
  t.like(event.data.value, { group: "g", id: "x", revision: put.body.revision });
  await all.find("the node", ({ data }) => data.key === "a" && (data.value as { online?: boolean }).online === true);
  await filtered.find("the job of the group", of("job", "g/x"));
  t.deepEqual(
    filtered.events.map(({ event: kind, data }) => data.key ?? kind),
    ["begin", "g/x"],
  );

  // Two processes and a record, as an agent writes them.
  const proc = { v: 1, execution: "e1", attempt: 1, pid: 7, startedAt: "2026-01-01T00:00:00.000Z" };
  await kv.txn({ then: [{ op: "put", key: keys.proc("a", "g", "x", 7), value: JSON.stringify(proc) }] });
  t.like((await all.find("runs", of("execution", "a/g/x/7"))).data.value, { id: "e1", state: "running" });
  await kv.txn({ then: [{ op: "delete", key: keys.proc("a", "g", "x", 7) }] });
  const over = await all.find("runs no more", of("execution", "a/g/x/7", true));

  all.close();
  await first.ask("PUT", "/jobs/g/x", { spec: spec("2") });
  await first.ask("PUT", "/jobs/g/x", { spec: spec("3") });
  await first.ask("DELETE", "/jobs/other/y");
  for (const master of [first, second]) {
    using again = await readEvents(master, "", { "last-event-id": over.id });
    const begun = await again.find("begin or reset", () => true);
    // The other master may have begun too late to know.
    if (begun.event === "reset" && master === second) continue;
    t.is(begun.event, "begin");
    t.like((await again.find("changed", of("job", "g/x"))).data.value, { spec: { name: "3" } });
    await again.find("deleted", of("job", "other/y", true));
    t.is(again.events.filter(of("job", "g/x")).length, 1, "only the newest");
    t.false(
      again.events.some(({ event: kind }) => kind === "execution"),
      "nothing twice",
    );
  }
  await kv.close();
});

test("a place from before the master, of another etcd or of the future is answered by reset", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const begins = async (query: string, headers = {}) => {
    using reader = await readEvents(master, query, headers);
    return (await reader.find("the first", () => true)).event;
  };
  t.is(await begins(""), "begin");
  t.is(await begins("?since=1"), "reset");
  t.is(await begins("?since=999999"), "reset");
  t.is(await begins("", { "last-event-id": "00000000.1.1.1" }), "reset");
  const { body } = await master.ask<{ etcd: { revision: number } }>("GET", "/info");
  t.is(await begins(`?since=${body.etcd.revision}`), "begin");
  const refused = await readEvents(master, "?since=x").catch((error: unknown) => error as { status: number });
  t.is((refused as { status: number }).status, 400);
  t.is((await master.ask("GET", "/events?kind=nothing")).status, 400);
  t.is(await master.stop(), 0);
});

test("readers are limited; a master that stops lets them go; etcd away and back loses nothing", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess({ ...etcd, args: ["--event-readers", "2"] });
  using one = await readEvents(master);
  const two = await readEvents(master);
  const third = (await readEvents(master).catch((error: unknown) => error)) as Error & { status: number };
  t.is(third.status, 429);
  t.like(JSON.parse(third.message), { code: "server/too-many" });
  two.close();
  using three = await eventually("a place is free", () => readEvents(master).catch(() => undefined));

  await etcd.kill();
  await etcd.restart();
  await eventually("etcd is back", async () => (await master.ask("PUT", "/jobs/g/x", { spec: spec("1") })).status < 300);
  for (const reader of [one, three]) await reader.find("the job", of("job", "g/x"));
  t.is(await master.stop(), 0);
  await eventually("they are let go", async () => one.isOver() && three.isOver());
});

test("a reader that takes nothing costs nothing, and lists again when it goes on", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  using slow = await readEvents(master, "?kind=job");
  using quick = await readEvents(master, "?kind=job");
  await slow.find("begin", () => true);
  slow.pause();
  const env = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`V${n}`, "x".repeat(1000)]));
  const jobs = (round: number) =>
    Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`g/j${n}`, { ...spec("n"), env: { ...env, ROUND: String(round) } }]));
  // 36 MB of events, of which only the newest 3 MB are true.
  for (let round = 0; round < 12; round++) {
    const { status } = await master.ask("POST", "/apply", { files: [{ name: "j.json", text: JSON.stringify({ jobs: jobs(round) }) }] });
    t.is(status, 200);
  }
  const isLast = ({ data }: ReadEvent) => {
    const value = data.value as { spec?: { env?: { ROUND?: string } } } | undefined;
    return data.key === "g/j149" && value?.spec?.env?.ROUND === "11";
  };
  await quick.find("the last change", isLast);
  slow.resume();
  await slow.find("the last change", isLast);
  t.true(slow.events.length < 12 * 150, `${slow.events.length} events`);
  t.true(quick.events.length >= slow.events.length);
});

test("a token that is limited to groups is told of those only, and of nothing more once it is revoked", async (t) => {
  t.timeout(60_000);
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const kv = openEtcdKv(etcd, { clock: systemClock });
  const made = await master.ask<{ id: string; token: string }>("POST", "/tokens", { name: "of-g", role: "viewer", groups: ["g"] });
  const reader = await readEvents({ url: master.url, token: made.body.token });
  using asked = await readEvents({ url: master.url, token: made.body.token }, "?group=other");
  await joinFleet(kv, "a");
  await kv.close();
  for (const path of ["/jobs/other/y", "/jobs/g/x"]) await master.ask("PUT", path, { spec: spec("1") });
  await master.ask("PUT", "/globals/SECRET", { value: "x" });
  await master.ask("PUT", "/jobs/g/z", { spec: spec("1") });
  await reader.find("the last", of("job", "g/z"));
  const keys = new Set(reader.events.map(({ event, data }) => `${event} ${String(data.key ?? "")}`));
  t.deepEqual([...keys].sort(), ["begin ", "job g/x", "job g/z", "node a"]);
  t.deepEqual(
    asked.events.map(({ event }) => event),
    ["begin"],
    "asking for another group does not help",
  );
  t.is((await master.ask("DELETE", `/tokens/${made.body.id}`)).status, 200);
  const end = await reader.find("the end", ({ event }) => event === "error");
  t.is(end.data.code, "auth/revoked");
  await eventually("it is let go", async () => reader.isOver());
});
