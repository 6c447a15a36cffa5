/** An agent that was dead, stopped, or whose clock was moved: what passed meanwhile gets its verdict, what was under way exactly one record. */

import { renameSync, writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec, Misfire } from "fleetcron-shared/model/job-spec";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { type AgentBench, startAgentBench, words } from "../support/agent-bench.ts";
import { duplicates } from "../support/evidence.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";

const command = (script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const due = (record: ExecutionRecord) => Date.parse(record.dueAt ?? "");
const until = (record: ExecutionRecord) => Date.parse(record.dueUntil ?? record.dueAt ?? "");
const nextRecord = (bench: AgentBench, job: string, afterMs: number) =>
  eventually(`${job} goes on`, async () => (await bench.records(job)).some((record) => record.success && due(record) > afterMs));

/** Every second from the first tick on is spoken of exactly once. */
function unaccounted(records: readonly ExecutionRecord[], untilMs: number): string[] {
  const found: string[] = [];
  const first = Math.min(...records.map(due));
  for (let at = first; at <= untilMs; at += 1000) {
    const count = records.filter((record) => due(record) <= at && at <= until(record)).length;
    if (count !== 1) found.push(`${new Date(at).toISOString()}: ${count}`);
  }
  return found;
}

test("misfire: once, skip, all, and what is older than the window, each tick of the dead time in one verdict", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const spec = (misfire: Misfire, misfireWindow = "1h"): Partial<JobSpec> => ({
    misfire,
    misfireWindow,
    // On a slow machine a run may last into the next second.
    ...{ overlap: "allow", parallel: 50 },
    run: { command: { script: "true" } },
  });
  const jobs = { once: spec("once"), skip: spec("skip"), all: spec("all"), window: spec("once", "2s") };
  for (const [name, job] of Object.entries(jobs)) await bench.dispatch("n1", `t/${name}`, job);
  for (const name of Object.keys(jobs)) await nextRecord(bench, `t/${name}`, 0);
  await bench.agent("n1").kill();
  const deadMs = systemClock.now();
  await systemClock.sleep(6000);
  await bench.agent("n1").restart();
  const backMs = systemClock.now();
  await systemClock.sleep(1000);
  for (const name of Object.keys(jobs)) await nextRecord(bench, `t/${name}`, backMs);
  for (const name of Object.keys(jobs)) {
    await eventually(
      `${name}: each tick has one verdict`,
      async () => unaccounted(await bench.records(`t/${name}`), backMs - 1000).length === 0,
      15_000,
    );
  }
  const all = (await bench.records("t/all")).filter((record) => due(record) < backMs);
  t.true(all.every((record) => record.success));
  const dead = async (name: string) =>
    (await bench.records(`t/${name}`)).filter((record) => due(record) > deadMs && due(record) < backMs - 2500);
  const dueOf = (record: ExecutionRecord) => record.dueCount ?? 1;
  t.deepEqual(
    (await dead("skip")).map((record) => outcomeWord(record.outcome)),
    ["skipped:misfireSkip"],
  );
  t.true(dueOf((await dead("skip"))[0]!) >= 5);
  t.deepEqual(
    (await dead("once")).map((record) => outcomeWord(record.outcome)),
    ["skipped:misfireSkip"],
  );
  // Both were looked at in the same moment: where `skip` skips the newest passed tick too, `once` runs it.
  const newestMs = until((await dead("skip"))[0]!);
  t.is(until((await dead("once"))[0]!), newestMs - 1000);
  t.true((await bench.records("t/once")).some((record) => record.success && due(record) === newestMs));
  t.true((await dead("window")).some((record) => outcomeWord(record.outcome) === "missed:misfireWindow"));
  await bench.agent("n1").kill();
  bench.wipe("n1");
  const before = (await bench.records()).length;
  const freshMs = systemClock.now();
  await bench.agent("n1").restart();
  await nextRecord(bench, "t/all", freshMs);
  const fresh = (await bench.records()).slice(before);
  t.true(
    fresh.every((record) => due(record) > freshMs - 1000),
    "without its journal it fires nothing of the past",
  );
});

test("stopped for longer than the grace: what passed is a misfire, and nothing storms", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  await bench.dispatch("n1", "t/common", { run: { command: { script: bench.script() } } });
  await nextRecord(bench, "t/common", 0);
  bench.agent("n1").pause();
  const stoppedMs = systemClock.now();
  await systemClock.sleep(13_000);
  bench.agent("n1").resume();
  const resumedMs = systemClock.now();
  await nextRecord(bench, "t/common", resumedMs);
  t.deepEqual(duplicates(bench.runs()), []);
  t.true(bench.runs().filter((run) => run.beginMs > stoppedMs && Date.parse(run.due) < resumedMs - 2000).length === 0);
  await eventually("each tick has its verdict", async () => unaccounted(await bench.records("t/common"), resumedMs - 1000).length === 0);
});

test("a clock set forward and back: no tick fires twice, none storms; after a whole day it goes on at once", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: [] });
  const offset = bench.file("faketime");
  const setClock = (text: string) => {
    writeFileSync(`${offset}.new`, `${text}\n`);
    renameSync(`${offset}.new`, offset);
  };
  setClock("+0");
  const env = {
    LD_PRELOAD: "/usr/$LIB/faketime/libfaketimeMT.so.1",
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
  await bench.add("n1", { env });
  await bench.dispatch("n1", "t/common", { run: { command: { script: "true" } } });
  const newest = async () => Math.max(0, ...(await bench.records("t/common")).map(until));
  const lateBy = (ms: number) => eventually(`a tick ${ms} ms ahead`, async () => (await newest()) > systemClock.now() + ms);
  await nextRecord(bench, "t/common", 0);

  setClock("+1800");
  await lateBy(1_799_000);
  const ran = (await bench.records("t/common")).filter((record) => record.success && due(record) > systemClock.now() + 5000);
  t.true(ran.length <= 4, `${ran.length} ran after the step`);
  setClock("+0");
  const backMs = systemClock.now();
  await systemClock.sleep(3000);
  setClock("+1803");
  await lateBy(1_802_000);
  const dues = (await bench.records("t/common")).filter((record) => record.success).map((record) => record.dueAt);
  t.is(new Set(dues).size, dues.length, "no tick ran twice");

  setClock("+200000");
  await lateBy(190_000_000);
  setClock("+0");
  await nextRecord(bench, "t/common", backMs + 5000);
  await eventually("it runs by the right clock", async () =>
    (await bench.records("t/common")).some((record) => record.success && Math.abs(due(record) - systemClock.now()) < 2000),
  );
  const all = (await bench.records("t/common")).filter((record) => record.success).map((record) => record.dueAt);
  t.is(new Set(all).size, all.length);
});

test("killed while something is queued, running, or between attempts: the next agent goes on with it", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ args: ["--capacity", "2", "--session-ttl", "30s"] });
  const untilGo = bench.script(`while ! test -e ${bench.file("go")}; do sleep 0.02; done; exit 3`);
  await bench.run("n1", "t/running", command(untilGo));
  await bench.run("n1", "t/alone", command(untilGo, { kind: "alone" }));
  await eventually("both run", async () => bench.runs().length === 2);
  await bench.run("n1", "t/queued", command("true"));
  await eventually("one is queued", async () => (await bench.alive("n1"))?.queued === 1);
  await eventually("both are registered", async () => (await bench.procs("n1")).length === 2);
  const before = await bench.procs("n1");
  await bench.agent("n1").restart();
  await eventually("all are there again", async () => (await bench.onHand("n1")) === 3);
  const pids = (procs: typeof before) => procs.map(({ pid }) => pid).filter((pid) => pid > 0);
  await eventually("the same processes are registered", async () => pids(await bench.procs("n1")).join() === pids(before).join());
  writeFileSync(bench.file("go"), "");
  await eventually("all have their records", async () => (await bench.records()).length === 3);
  t.is(bench.runs().length, 2, "nothing ran again");
  for (const name of ["running", "alone"]) t.deepEqual((await bench.records(`t/${name}`)).map(words), ["1 exit:3"], name);
  t.deepEqual((await bench.records("t/queued")).map(words), ["1 exit:0"]);
  const [record] = await bench.records("t/running");
  t.is(record?.pid, before.find(({ execution }) => execution === record?.execution)?.pid);
  t.true((record?.durationMs ?? 0) > 0 && record?.beginTime !== undefined);

  await bench.run("n1", "t/waiting", command("exit 1", { retry: { limit: 1, delay: "2s" } }));
  await eventually("it failed once", async () => (await bench.records("t/waiting")).length === 1);
  await bench.agent("n1").restart();
  await eventually("the next attempt comes", async () => (await bench.records("t/waiting")).length === 2);
  t.deepEqual((await bench.records("t/waiting")).map(words), ["1… exit:1", "2 exit:1"]);
  await eventually("nothing is on hand any more", async () => (await bench.procs("n1")).length === 0);
});

test("killed while passed ticks are worked off one after the other: the next agent goes on with them, none is silent", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const everySecond = [{ mode: "cycle", timer: "* * * * * *" }] as const;
  await bench.dispatch("n1", "t/all", {
    misfire: "all",
    overlap: "queue",
    run: { command: { script: bench.script() } },
    rules: [...everySecond],
  });
  const ran = (atLeast: number) => eventually(`${atLeast} have run`, async () => bench.runs().length >= atLeast);
  await ran(1);
  for (let round = 0; round < 2; round++) {
    await bench.agent("n1").kill();
    const before = bench.runs().length;
    const backMs = systemClock.now() + 4500;
    await eventually("some ticks have passed", async () => systemClock.now() > backMs);
    await bench.agent("n1").restart();
    await ran(before + 2);
  }
  const untilMs = Math.floor(systemClock.now() / 1000) * 1000;
  await eventually("every tick is spoken of", async () => unaccounted(await bench.records(), untilMs).length === 0).catch(() => {});
  const records = await bench.records();
  t.deepEqual(unaccounted(records, untilMs), []);
  // On a slow machine a new tick may find the one place in the queue taken.
  t.deepEqual(
    [...new Set(records.map((record) => outcomeWord(record.outcome)))].filter((word) => word !== "skipped:overlap"),
    ["exit:0"],
  );
  t.deepEqual(duplicates(bench.runs()), []);
});

test("killed after the end but before the delivery: the true record comes, once; killed with a held tick: no false `lost`", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: [] });
  await using link = await startFaultProxy(bench.etcd.port);
  await bench.add("n1", { endpoint: link.endpoint });
  await bench.add("n2");
  await bench.run("n1", "t/ended", command(bench.script(`while ! test -e ${bench.file("go")}; do sleep 0.02; done`)));
  await eventually("it runs", async () => bench.runs().length === 1);
  await bench.dispatch(["n1", "n2"], "t/int", { kind: "interval", run: { command: { script: "true" } } });
  await eventually("both know the job", async () => new Set((await bench.records("t/int")).map((record) => record.nodeId)).size === 2);
  const cutMs = systemClock.now();
  link.cut();
  writeFileSync(bench.file("go"), "");
  await eventually("it has ended", async () => bench.runs()[0]?.endMs !== undefined);
  await systemClock.sleep(2000);
  await bench.agent("n1").kill();
  link.open();
  await bench.agent("n1").restart();
  await eventually("the record came", async () => (await bench.records("t/ended")).length === 1);
  t.deepEqual((await bench.records("t/ended")).map(words), ["1 exit:0"]);
  const backMs = systemClock.now();
  await nextRecord(bench, "t/int", backMs + 2000);
  const ticks = (await bench.records("t/int")).filter((record) => due(record) > cutMs - 5000 && due(record) < backMs);
  t.is(new Set(ticks.map(due)).size, ticks.length, "one record a tick");
  t.true(ticks.filter((record) => record.outcome.type === "lost").length <= 1, "only a claim that was really ours is lost");
});
