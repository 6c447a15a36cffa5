/** Each due tick has one verdict, on a real fleet: agents that are stopped, killed and frozen, leaders that are killed. The seconds are counted from the schedule. */
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { isAuditRecord, isVoid, spanOf } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { outcomeWord } from "fleetcron-shared/model/record";
import { startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";

const masterArgs = ["--missed-after", "2s", "--session-ttl", "2s"];
const lostAfter = "2s";
const sessionTtl = "3s";
const SECOND = 1000;

function job(more: Partial<JobSpec> = {}): JobSpec {
  const rules = [{ mode: "cycle", timer: "* * * * * *" }] as const;
  return { run: { command: { script: "true" } }, rules, holdFor: "1s", retain: { count: 5000 }, ...more };
}

/** The next whole second, and a bit: agents have taken over what was applied before. */
function soon(): number {
  return Math.ceil((systemClock.now() + 1500) / SECOND) * SECOND;
}

function justBefore(): number {
  return Math.floor(systemClock.now() / SECOND) * SECOND;
}

/** The words of all verdicts of the tick (on that node). */
function verdictsAt(records: readonly ExecutionRecord[], dueMs: number, node?: string): string[] {
  return records.flatMap((record) => {
    const span = spanOf(record);
    if (span === undefined || isVoid(record) || span.firstMs > dueMs || span.lastMs < dueMs) return [];
    return node === undefined || record.nodeId === node ? [outcomeWord(record.outcome)] : [];
  });
}

/** Seconds of [fromMs, untilMs] without exactly one verdict, in words. */
function wrong(records: readonly ExecutionRecord[], fromMs: number, untilMs: number, node?: string): string[] {
  const found: string[] = [];
  for (let dueMs = fromMs; dueMs <= untilMs; dueMs += SECOND) {
    const words = verdictsAt(records, dueMs, node);
    if (words.length !== 1) found.push(`${toIso(dueMs)}: ${words.join(" + ") || "none"}`);
  }
  return found;
}

function isRight(fleet: Fleet, key: string, fromMs: number, untilMs: number, node?: string): Promise<readonly ExecutionRecord[]> {
  let last: string[] = [];
  return eventually(`each tick of ${key} has one verdict`, async () => {
    const records = await fleet.records(key);
    last = wrong(records, fromMs, untilMs, node);
    return last.length === 0 && records;
  }).catch((error: unknown) => {
    throw new Error(
      `${key}: ${last.slice(0, 10).join("; ")}\n${fleet
        .logs()
        .split("\n")
        .filter((line) => /auditor/.test(line))
        .slice(-30)
        .join("\n")}`,
      { cause: error },
    );
  });
}

const missedBy = (records: readonly ExecutionRecord[]) => records.filter(({ id }) => isAuditRecord(id));

test("a fleet without agents: ranges in place of silence, wherever people look", async (t) => {
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: [etcd.endpoint], nodes: [], masterArgs, lostAfter });
  const fromMs = soon();
  await fleet.apply({ "g/c": job(), "g/i": job({ kind: "interval" }) });
  await systemClock.sleep(10_000);
  const untilMs = fromMs + 5000;
  for (const key of ["g/c", "g/i"]) {
    const records = await isRight(fleet, key, fromMs, untilMs);
    t.deepEqual(
      missedBy(records).map(({ outcome }) => outcomeWord(outcome)),
      ["missed:noMatchingNode"],
      "one record",
    );
  }
  const why = await fleet.api.why({ group: "g", id: "i" }, { at: toIso(untilMs) });
  t.like(why, { verdict: "missed", reason: "noMatchingNode" });
  t.regex(why.text, /no registered node matched/);
  const calendar = await fleet.api.verdicts({ group: "g", id: "c" }, { since: toIso(fromMs), until: toIso(untilMs + 1) });
  t.deepEqual([...new Set(calendar.ticks.map(({ verdict }) => verdict))], ["missed"]);
  t.is(calendar.ticks.length, 6);
  await eventually("the list shows it", async () => {
    const { items } = await fleet.api.records({ job: "g/c", outcome: "missed" });
    return items.length === 1 && (items[0]?.dueCount ?? 0) >= 6;
  });
  await eventually("the history has it", async () => {
    const { items } = await fleet.api.records({ job: "g/i", outcome: "missed" });
    return items.length === 1 && (items[0]?.dueCount ?? 0) >= 6;
  });
  await fleet.api.deleteJob({ group: "g", id: "c" });
  const metrics = await (await fetch(`${fleet.url}/metrics`, { headers: { authorization: `Bearer ${fleet.token}` } })).text();
  t.true(
    Number(/ticks_missed_total\{reason="noMatchingNode"\} (\d+)/.exec(metrics)?.[1]) >= 12,
    metrics
      .split("\n")
      .filter((line) => /ticks_/.test(line))
      .join(),
  );
});

test("a node is stopped and comes back, while leaders are killed: one verdict for each tick, whatever the misfire policy", async (t) => {
  t.timeout(240_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: [etcd.endpoint], nodes: ["a", "b"], masters: 2, masterArgs, lostAfter, sessionTtl });
  const target = { nodes: ["a"] };
  const only = (more: Partial<JobSpec>) => job({ rules: [{ mode: "cycle", timer: "* * * * * *", target }], ...more });
  const jobs: Record<string, JobSpec> = { "g/both": job() };
  for (const kind of ["common", "interval"] as const)
    for (const misfire of ["once", "skip", "all"] as const) jobs[`g/${kind}-${misfire}`] = only({ kind, misfire });
  jobs["g/window"] = only({ misfireWindow: "2s" });
  await fleet.apply(jobs);
  const fromMs = soon();
  await systemClock.sleep(6000);
  t.is(await fleet.agent("a").stop(), 0);
  await eventually("it is missed", async () => missedBy(await fleet.records("g/interval-once")).length > 0);
  await fleet.masters[0]?.kill();
  await systemClock.sleep(6000);
  await fleet.masters[0]?.restart();
  await systemClock.sleep(2000);
  const api = fleet.apiOf(1);
  const duringMs = justBefore() - 9000;
  for (const key of Object.keys(jobs)) {
    const records = await isRight(fleet, key, fromMs, duringMs, key === "g/both" ? "a" : undefined);
    t.true(missedBy(records).length >= 1, key);
    t.true(
      missedBy(records).every(({ outcome }) => outcomeWord(outcome) === "missed:nodeOffline"),
      key,
    );
  }
  t.like(await api.why({ group: "g", id: "common-once" }, { at: toIso(duringMs) }), { verdict: "missed", reason: "nodeOffline" });
  await fleet.agent("a").restart();
  await fleet.masters[1]?.kill();
  await systemClock.sleep(8000);
  await fleet.masters[1]?.restart();
  await systemClock.sleep(10_000);
  const untilMs = justBefore() - 8000;
  for (const key of Object.keys(jobs)) {
    const records = await isRight(fleet, key, fromMs, untilMs, key === "g/both" ? "a" : undefined);
    const words = new Set(records.map(({ outcome }) => outcomeWord(outcome)));
    t.log(key, [...words].join(" "), `${missedBy(records).length} of the auditor`);
    if (/once|skip/.test(key)) t.true(words.has("skipped:misfireSkip"), key);
    // Runs may overlap where the machine is too busy for one a second.
    if (/all/.test(key))
      t.deepEqual(
        [...words].filter((word) => word !== "skipped:overlap"),
        ["exit:0"],
        key,
      );
    // A machine that is too busy may cut the other node off for a while.
    t.deepEqual(
      missedBy(records).filter(({ nodeId }) => nodeId !== "b"),
      [],
      key,
    );
    const { items } = await fleet.api.records({ job: key, outcome: "missed:nodeOffline", ...(key === "g/both" ? { node: "a" } : {}) });
    t.deepEqual(items, [], "nor in the history");
  }
  await isRight(fleet, "g/both", fromMs, untilMs, "b");
  t.pass();
});

test("a node that is frozen and goes on, one that never comes back, edits and pauses, one notice", async (t) => {
  t.timeout(240_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: [etcd.endpoint], nodes: ["a", "b"], masterArgs, lostAfter, sessionTtl });
  const on = (node: string, more: Partial<JobSpec> = {}) =>
    job({ rules: [{ mode: "cycle", timer: "* * * * * *", target: { nodes: [node] } }], ...more });
  const channels = { ops: { slack: { url: { env: "FLEETCRON_SECRET_OPS" } } } };
  await fleet.api.apply({ files: [{ name: "channels.json", text: JSON.stringify({ channels }) }] });
  const notify = [{ on: ["missed" as const], to: ["ops"] }];
  await fleet.apply({ "g/frozen": on("a"), "g/dead": on("b", { notify }), "g/deadi": on("b", { kind: "interval" }), "g/paused": on("b") });
  const fromMs = soon();
  await systemClock.sleep(4000);
  fleet.agent("a").pause();
  await fleet.agent("b").kill();
  await systemClock.sleep(9000);
  fleet.agent("a").resume();
  const pausedMs = justBefore();
  await fleet.api.pauseJob({ group: "g", id: "paused" });
  await systemClock.sleep(6000);
  const untilMs = justBefore();
  await systemClock.sleep(9000);
  t.deepEqual(missedBy(await isRight(fleet, "g/frozen", fromMs, untilMs)), []);
  for (const key of ["g/dead", "g/deadi"]) t.is(missedBy(await isRight(fleet, key, fromMs, untilMs)).length, 1, key);
  const paused = await isRight(fleet, "g/paused", fromMs, pausedMs - 1000);
  for (let dueMs = pausedMs + 2000; dueMs <= untilMs; dueMs += SECOND) t.deepEqual(verdictsAt(paused, dueMs), []);
  const { items } = await fleet.api.deliveries({});
  t.is(
    items.reduce((sum, { notices }) => sum + notices, 0),
    1,
    "told once",
  );
});
