/** What becomes of a tick or order whose job still runs, on this node or elsewhere, and of those for which the node has no room. */

import { existsSync, writeFileSync } from "node:fs";
import test from "ava";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { type AgentBench, detailOf, startAgentBench, words } from "../support/agent-bench.ts";
import { duplicates, overlaps } from "../support/evidence.ts";
import { eventually } from "../support/fleet.ts";

/** Runs until the file `go` exists. */
const untilGo = (bench: AgentBench) => bench.script(`while ! test -e ${bench.file("go")}; do sleep 0.02; done`);
const go = (bench: AgentBench) => writeFileSync(bench.file("go"), "");
const command = (script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const recordOf = (bench: AgentBench, execution: string) =>
  eventually(`the record of ${execution}`, async () => (await bench.records()).find((record) => record.execution === execution));
const begun = (bench: AgentBench, count: number) => eventually(`${count} runs have begun`, async () => bench.runs().length === count);
/** An order that must not wait for its own run: resolves when the agent has taken it. */
const queued = (bench: AgentBench, count: number) =>
  eventually(`${count} executions are on hand`, async () => (await bench.onHand("n1")) === count);

test("common: skip, queue one, replace, allow; the records say who stood in the way", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const skip = command(untilGo(bench), { overlap: "skip" });
  const first = await bench.run("n1", "t/skip", skip);
  await begun(bench, 1);
  const second = await recordOf(bench, await bench.run("n1", "t/skip", skip));
  t.is(outcomeWord(second.outcome), "skipped:overlap");
  t.regex(detailOf(second), new RegExp(`${first} is still running`));

  const queue = command(untilGo(bench), { overlap: "queue" });
  await bench.run("n1", "t/queue", queue);
  await begun(bench, 2);
  const waiting = await bench.run("n1", "t/queue", queue);
  await queued(bench, 3);
  const refused = await recordOf(bench, await bench.run("n1", "t/queue", queue));
  t.regex(detailOf(refused), new RegExp(`${waiting} is queued already`));

  const replace = command(untilGo(bench), { overlap: "replace", killGrace: "100ms" });
  const old = await bench.run("n1", "t/replace", replace);
  await begun(bench, 3);
  const fresh = await bench.run("n1", "t/replace", replace);
  const replaced = await recordOf(bench, old);
  t.is(outcomeWord(replaced.outcome), "killed");
  t.is(detailOf(replaced), `fleetcron: replaced by execution ${fresh}`);
  await begun(bench, 4);

  const allow = command(untilGo(bench), { overlap: "allow", parallel: 2 });
  await bench.run("n1", "t/allow", allow);
  await bench.run("n1", "t/allow", allow);
  await begun(bench, 6);
  t.is(outcomeWord((await recordOf(bench, await bench.run("n1", "t/allow", allow))).outcome), "skipped:overlap");
  go(bench);
  t.is(outcomeWord((await recordOf(bench, waiting)).outcome), "exit:0");
  await bench.idle();
  t.deepEqual(overlaps(bench.runs().filter((run) => run.job === "queue")), []);
});

test("alone across two agents: skip, one next in line, replace", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n1", "n2"] });
  const alone = (overlap: "skip" | "queue" | "replace") => command(untilGo(bench), { kind: "alone", overlap, killGrace: "100ms" });
  const first = await bench.run("n1", "t/skip", alone("skip"));
  await begun(bench, 1);
  t.is(detailOf(await recordOf(bench, await bench.run("n2", "t/skip", alone("skip")))), `execution ${first} holds the lock`);

  await bench.run("n1", "t/queue", alone("queue"));
  await begun(bench, 2);
  const waiting = await bench.run("n2", "t/queue", alone("queue"));
  await eventually("somebody stands next in line", async () => (await bench.kv.get(bench.keys.lockNext("t", "queue"))) !== undefined);
  t.regex(detailOf(await recordOf(bench, await bench.run("n1", "t/queue", alone("queue")))), /queued already/);

  const old = await bench.run("n1", "t/replace", alone("replace"));
  await begun(bench, 3);
  const fresh = await bench.run("n2", "t/replace", alone("replace"));
  t.is(detailOf(await recordOf(bench, old)), `fleetcron: replaced by execution ${fresh} on n2`);
  await begun(bench, 4);
  const fences = (await bench.procs("n2")).map((proc) => proc.fence ?? 0);
  t.true(fences.every((fence) => fence > 0));
  go(bench);
  t.is(outcomeWord((await recordOf(bench, waiting)).outcome), "exit:0");
  await bench.idle();
  t.deepEqual(overlaps(bench.runs().filter((run) => run.execution !== old)), []);
  t.is(await bench.kv.get(bench.keys.lockNext("t", "queue")), undefined);
  t.is(await bench.kv.get(bench.keys.lock("t", "queue")), undefined);
});

test("alone by its timer: skip gives one verdict a tick for the whole fleet, queue runs every second at most one after the other", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n1", "n2"] });
  const spec = (overlap: "skip" | "queue"): Partial<JobSpec> => ({
    kind: "alone",
    overlap,
    run: { command: { script: bench.script("sleep 1.5") } },
  });
  await bench.dispatch(["n1", "n2"], "t/skip", spec("skip"));
  await bench.dispatch(["n1", "n2"], "t/queue", spec("queue"));
  await eventually("some ran", async () => bench.runs().filter((run) => run.endMs !== undefined).length >= 8);
  await bench.undispatch(["n1", "n2"], "t/skip");
  await bench.undispatch(["n1", "n2"], "t/queue");
  await bench.idle();
  for (const name of ["skip", "queue"]) {
    const records = await bench.records(`t/${name}`);
    const dues = records.map((record) => record.dueAt ?? "");
    t.is(new Set(dues).size, dues.length, `${name}: one record a tick`);
    t.deepEqual(gaps(records), [], `${name}: no tick without a record`);
    const runs = bench.runs().filter((run) => run.job === name);
    t.deepEqual(overlaps(runs), []);
    t.deepEqual(duplicates(runs), []);
  }
  const begins = bench.runs().filter((run) => run.job === "queue");
  t.true(
    begins.slice(1).every((run, index) => run.beginMs - (begins[index]?.endMs ?? 0) < 700),
    "the queued one follows at once",
  );
});

test("interval: a busy node leaves the tick to another; alone on its node it queues one or skips", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n1", "n2"] });
  const body = bench.script("sleep 1.5");
  await bench.dispatch(["n1", "n2"], "t/two", { kind: "interval", run: { command: { script: body } } });
  await bench.dispatch("n1", "t/queue", { kind: "interval", overlap: "queue", run: { command: { script: body } } });
  await bench.dispatch("n1", "t/replace", { kind: "interval", overlap: "replace", killGrace: "100ms", run: { command: { script: body } } });
  await eventually("some ran", async () => bench.runs().filter((run) => run.job === "queue" && run.endMs !== undefined).length >= 4);
  for (const [nodes, name] of [
    [["n1", "n2"], "two"],
    ["n1", "queue"],
    ["n1", "replace"],
  ] as const)
    await bench.undispatch(nodes, `t/${name}`);
  await bench.idle();
  const two = bench.runs().filter((run) => run.job === "two");
  t.deepEqual([...new Set(two.map((run) => run.node))].sort(), ["n1", "n2"]);
  t.deepEqual(duplicates(bench.runs()), []);
  for (const node of ["n1", "n2"]) t.deepEqual(overlaps(two.filter((run) => run.node === node)), [], "skip: never two on a node");
  t.deepEqual(overlaps(bench.runs().filter((run) => run.job === "queue")), []);
  await eventually("every tick of the queueing job has its record", async () => gaps(await bench.records("t/queue")).length === 0);
  const queue = await bench.records("t/queue");
  t.true(
    queue.some((record) => outcomeWord(record.outcome) === "skipped:overlap"),
    "one is queued, the others are not",
  );
  const replaced = await bench.records("t/replace");
  t.true(replaced.filter((record) => record.outcome.type === "killed").length >= 3);
  t.true(replaced.filter((record) => record.outcome.type === "killed").every((record) => /replaced/.test(detailOf(record))));
});

test("draining: ticks of interval jobs go to the other node; with all drained each has one verdict", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n1", "n2"] });
  const nodes = ["n1", "n2"];
  await bench.dispatch(nodes, "t/int", { kind: "interval", run: { command: { script: bench.script() } } });
  await eventually("both take part", async () => new Set(bench.runs().map((run) => run.node)).size === 2);
  await bench.drain("n1", true);
  const seen = bench.runs().length;
  await eventually("four more ran", async () => bench.runs().length >= seen + 4);
  t.deepEqual(
    new Set(
      bench
        .runs()
        .slice(seen + 1)
        .map((run) => run.node),
    ),
    new Set(["n2"]),
  );
  await bench.drain("n2", true);
  await eventually(
    "ticks are given up",
    async () => (await bench.records()).filter((record) => outcomeWord(record.outcome) === "skipped:drained").length >= 3,
  );
  const ran = bench.runs().length;
  await bench.drain("n1", false);
  await eventually("they run again", async () => bench.runs().length > ran + 1);
  await bench.undispatch(nodes, "t/int");
  await bench.idle();
  const records = await bench.records();
  t.deepEqual(gaps(records), []);
  t.is(new Set(records.map((record) => record.dueAt)).size, records.length, "one record a tick");
});

test("draining: a tick that is queued runs, also when the agent is started again meanwhile; later ones do not", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ args: ["--capacity", "1"] });
  await bench.run("n1", "t/block", command(untilGo(bench)));
  await begun(bench, 1);
  await bench.dispatch("n1", "t/tick", {
    overlap: "queue",
    run: { command: { script: bench.script() } },
    rules: [{ mode: "cycle", timer: "* * * * * *" }],
  });
  await eventually("a tick is queued", async () => (await bench.alive("n1"))?.queued === 1);
  await bench.drain("n1", true);
  await eventually("it drains", async () => (await bench.alive("n1"))?.draining === true);
  t.is(await bench.agent("n1").stop(), 0);
  await bench.agent("n1").restart();
  await eventually("both are there again", async () => (await bench.onHand("n1")) === 2);
  writeFileSync(bench.file("go"), "");
  await eventually("the queued one has run", async () => bench.runs().some((run) => run.job === "tick"));
  await eventually("nothing is left", async () => (await bench.onHand("n1")) === 0);
  const ran = bench.runs().filter((run) => run.job === "tick");
  t.is(ran.length, 1);
  await eventually("later ticks are refused", async () =>
    (await bench.records("t/tick")).some(
      (record) => outcomeWord(record.outcome) === "skipped:drained" && (record.dueAt ?? "") > (ran[0]?.due ?? ""),
    ),
  );
});

test("capacity 1: what is due waits in plain sight, first come first served, and none is lost", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ args: ["--capacity", "1"] });
  await bench.run("n1", "t/block", command(untilGo(bench)));
  await begun(bench, 1);
  const orders: string[] = [];
  for (const name of ["c", "a", "b", "d"]) {
    orders.push(await bench.run("n1", `t/${name}`, command(bench.script())));
    await eventually("it waits", async () => (await bench.alive("n1"))?.queued === orders.length);
  }
  const killed = orders.splice(2, 1)[0] ?? "";
  await bench.kill("n1", killed);
  const record = await recordOf(bench, killed);
  t.is(words(record), "1 skipped:cancelled");
  t.is(detailOf(record), "ended by alice: enough");
  go(bench);
  await bench.idle();
  t.deepEqual(
    bench
      .runs()
      .slice(1)
      .map((run) => run.execution),
    orders,
  );
  t.true(existsSync(bench.file("go")));
});

/** Seconds between the first and the last record that no record speaks of. */
function gaps(records: readonly ExecutionRecord[]): string[] {
  const dues = new Set(records.map((record) => record.dueAt ?? ""));
  const times = [...dues].map((due) => Date.parse(due)).sort((a, b) => a - b);
  const missing: string[] = [];
  for (let due = times[0] ?? 0; due < (times.at(-1) ?? 0); due += 1000) {
    const iso = new Date(due).toISOString();
    if (!dues.has(iso)) missing.push(iso);
  }
  return missing;
}
