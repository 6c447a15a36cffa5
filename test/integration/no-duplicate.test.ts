/**
 * No duplicate, no silence: three agents, two masters and three etcd members, while agents, a master and the etcd leader are killed and
 * frozen. The witness is what the commands themselves wrote.
 */

import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { idTimeMs } from "fleetcron-shared/base/ids";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { startEtcdCluster } from "../support/etcd.ts";
import { duplicates, evidenceScript, overlaps, readEvidence, withoutRun } from "../support/evidence.ts";
import { eventually, startFleet } from "../support/fleet.ts";

const RUN_MS = 185_000;
/** The killed agents: one comes back, one does not. */
const KILLS = 2;

test("no due second runs twice, none is silent", async (t) => {
  t.timeout(420_000);
  await using etcd = await startEtcdCluster(3);
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1", "n2", "n3"], masters: 2, lostAfter: "10s" });
  const file = fleet.file("evidence");
  const job = (kind: "interval" | "alone", timer: string, body = "", more: Partial<JobSpec> = {}): JobSpec => ({
    kind,
    run: { command: { script: evidenceScript(file, body) } },
    rules: [{ mode: "cycle", timer }],
    retain: { count: 5000 },
    ...more,
  });
  await fleet.apply({
    "t/int1": job("interval", "* * * * * *"),
    "t/int2": job("interval", "*/2 * * * * *"),
    "t/alone1": job("alone", "* * * * * *"),
    "t/alone2": job("alone", "*/2 * * * * *"),
    "t/long": job("alone", "* * * * * *", "sleep 1.6"),
    "t/rerun": job("interval", "* * * * * *", "", { onNodeLost: "rerun" }),
  });
  await eventually("the jobs run", async () => new Set(readEvidence(file).map((run) => run.job)).size === 6);
  const fromMs = systemClock.now() + 1000;
  const at = (seconds: number) => systemClock.sleep(fromMs + seconds * 1000 - systemClock.now());

  await at(20);
  await fleet.agent("n1").kill();
  await at(35);
  await fleet.agent("n1").restart();
  await at(50);
  fleet.agent("n2").pause();
  await at(63);
  fleet.agent("n2").resume();
  await at(80);
  await fleet.masters[0]?.kill();
  await at(90);
  await fleet.masters[0]?.restart();
  await at(105);
  const leader = await etcd.leader();
  await leader.kill();
  await at(125);
  await leader.restart();
  await at(140);
  await fleet.agent("n3").kill();
  await at(RUN_MS / 1000);
  const untilMs = systemClock.now() - 2000;

  const verdicts = await eventually(
    "every due tick has a record",
    async () => {
      const all = await allRecords(["int1", "int2", "alone1", "alone2", "long", "rerun"], fleet.records);
      return silent(all, fromMs, untilMs).length === 0 && all;
    },
    60_000,
  ).catch(async () => {
    const all = await allRecords(["int1", "int2", "alone1", "alone2", "long", "rerun"], fleet.records);
    t.deepEqual(silent(all, fromMs, untilMs), [], "ticks without a verdict");
    return all;
  });
  const runs = readEvidence(file);
  const inWindow = (due: string) => Date.parse(due) >= fromMs && Date.parse(due) <= untilMs;
  const missingOf = (name: string, periodMs: number) =>
    withoutRun(runs, name, periodMs, fromMs, untilMs).filter((due) => !isOverlap(wordsFor(verdicts.get(name) ?? [], due)));
  t.deepEqual(duplicates(runs.filter((run) => run.job !== "rerun")), []);
  t.deepEqual(overlaps(runs.filter((run) => ["alone1", "alone2", "long"].includes(run.job))), []);
  for (const [name, periodMs] of [
    ["int1", 1000],
    ["int2", 2000],
    ["alone1", 1000],
    ["alone2", 2000],
  ] as const) {
    const missing = missingOf(name, periodMs);
    const words = missing.map((due) => wordsFor(verdicts.get(name) ?? [], due));
    t.true(missing.length <= KILLS, `${name}: ${missing.map((due, index) => `${due} ${words[index]}`).join("; ")}`);
    for (const word of words) t.regex(word, /^lost/);
    const ran = runs.filter((run) => run.job === name && inWindow(run.due)).length;
    t.true(ran > RUN_MS / periodMs / 2, `${name} ran ${ran} times, most of its ticks`);
  }
  t.deepEqual(missingOf("rerun", 1000), [], "with onNodeLost: rerun nothing is missing");
  t.true(runs.filter((run) => run.job === "long" && inWindow(run.due)).length > 50);
  const late = (verdicts.get("int1") ?? []).filter((record) => (record.skewMs ?? 0) > 1000).length;
  t.log(`${runs.length} runs, ${late} of int1 more than a second late`);
});

async function allRecords(
  names: readonly string[],
  read: (key: string) => Promise<ExecutionRecord[]>,
): Promise<Map<string, ExecutionRecord[]>> {
  return new Map(await Promise.all(names.map(async (name) => [name, await read(`t/${name}`)] as const)));
}

/** On a slow machine a run may last into the next tick, which is then skipped as the job asks for. */
function isOverlap(words: string): boolean {
  return /^skipped:overlap [^,]*$/.test(words);
}

/** Due ticks that no record speaks of. */
function silent(records: ReadonlyMap<string, readonly ExecutionRecord[]>, fromMs: number, untilMs: number): string[] {
  return [...records].flatMap(([name, list]) => {
    const periodMs = name.endsWith("2") ? 2000 : 1000;
    const missing: string[] = [];
    for (let due = Math.ceil(fromMs / periodMs) * periodMs; due <= untilMs; due += periodMs) {
      const iso = new Date(due).toISOString();
      if (wordsFor(list, iso) === "") missing.push(`${name} ${iso}`);
    }
    return missing;
  });
}

function wordsFor(records: readonly ExecutionRecord[], due: string): string {
  const dueMs = Date.parse(due);
  const covers = (record: ExecutionRecord) =>
    record.dueAt === due ||
    (record.dueUntil !== undefined && Date.parse(record.dueAt ?? "") <= dueMs && dueMs <= Date.parse(record.dueUntil));
  return records
    .filter(covers)
    .map(
      (record) =>
        `${record.outcome.type}${"reason" in record.outcome ? `:${record.outcome.reason}` : ""} on ${record.nodeId} (${idTimeMs(record.id)})`,
    )
    .join(", ");
}
