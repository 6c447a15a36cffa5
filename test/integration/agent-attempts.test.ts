/** An execution over its attempts: retries, timeouts, kills and what a changed job does to them; each attempt has one record. */
import test from "ava";
import { toIso } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { type AgentBench, detailOf, newId, startAgentBench, words } from "../support/agent-bench.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive, textOf } from "../support/processes.ts";

const command = (script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const recordsOf = (bench: AgentBench, execution: string, count: number) =>
  eventually(`${count} records of ${execution}`, async () => {
    const found = (await bench.records()).filter((record) => record.execution === execution);
    return found.length >= count && found;
  });
const begin = (record: ExecutionRecord | undefined) => Date.parse(record?.beginTime ?? "");
const end = (record: ExecutionRecord | undefined) => Date.parse(record?.endTime ?? "");

test("retries: numbered, delayed as the job says, the last one final, one record each", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const fixed = await bench.run("n1", "t/fixed", command("exit $FLEETCRON_ATTEMPT", { retry: { limit: 2, delay: "300ms" } }));
  const retry = { limit: 3, delay: "100ms", backoff: "exponential" as const, maxDelay: "300ms" };
  const growing = await bench.run("n1", "t/growing", command("exit 1", { retry }));
  const third = await bench.run("n1", "t/third", command('test "$FLEETCRON_ATTEMPT" = 2', { retry: { limit: 5, delay: "1ms" } }));
  const missing = await bench.run("n1", "t/missing", { run: { command: { argv: ["/nowhere"] } }, retry: { limit: 1, delay: "1ms" } });
  const slow = await bench.run("n1", "t/slow", command("sleep 60", { timeout: "200ms", retry: { limit: 1, delay: "1ms" } }));

  t.deepEqual((await recordsOf(bench, fixed, 3)).map(words), ["1… exit:1", "2… exit:2", "3 exit:3"]);
  t.deepEqual((await recordsOf(bench, third, 2)).map(words), ["1… exit:1", "2 exit:0"]);
  t.deepEqual((await recordsOf(bench, missing, 2)).map(words), ["1… spawnFailed", "2 spawnFailed"]);
  t.deepEqual((await recordsOf(bench, slow, 2)).map(words), ["1… timeout", "2 timeout"]);
  const grown = await recordsOf(bench, growing, 4);
  for (const [index, delayMs] of [100, 200, 300].entries()) {
    const waited = begin(grown[index + 1]) - end(grown[index]);
    t.true(waited >= delayMs - 2 && waited < delayMs + 1500, `attempt ${index + 2} began after ${waited} ms`);
  }
  await bench.idle();
  t.is((await bench.records()).length, 3 + 4 + 2 + 2 + 2);
});

test("a waiting retry is called off when its job is edited, paused or deleted, at once, and the new form is not held up by it", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const spec = command("exit 1", { retry: { limit: 3, delay: "1h" } });
  const createdAt = toIso(Date.parse("2026-01-01"));
  for (const name of ["edited", "paused", "deleted"]) await bench.dispatch("n1", `t/${name}`, spec, { createdAt });
  await eventually("all have failed once", async () => (await bench.records()).length === 3);
  await bench.dispatch("n1", "t/edited", command("exit 0"), { createdAt });
  await bench.dispatch("n1", "t/paused", { ...spec, pause: true }, { createdAt, submittedAt: createdAt });
  await bench.undispatch("n1", "t/deleted");
  await eventually("all are called off, and the new form has run", async () => (await bench.records()).length === 7);
  const all = await bench.records();
  for (const name of ["paused", "deleted"])
    t.deepEqual(all.filter((record) => record.jobId === name).map(words), ["1… exit:1", "2 skipped:cancelled"]);
  t.deepEqual(all.filter((record) => record.jobId === "edited").map(words), ["1… exit:1", "2 skipped:cancelled", "1 exit:0"]);
  t.true(
    all.filter((record) => words(record) === "2 skipped:cancelled").every((record) => /edited, paused or deleted/.test(detailOf(record))),
  );
});

test("kill: a running one, one between attempts, a queued one, one that waits for a lock, one that ignores TERM", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ args: ["--proc-threshold", "0ms"] });
  const running = await bench.run("n1", "t/running", command("sleep 60", { retry: { limit: 3, delay: "1ms" } }));
  const waiting = await bench.run("n1", "t/waiting", command("exit 7", { retry: { limit: 3, delay: "1h" } }));
  const stubborn = await bench.run("n1", "t/stubborn", command("trap '' TERM; while :; do sleep 0.05; done", { killGrace: "300ms" }));
  const holder = await bench.run("n1", "t/alone", command("sleep 60", { kind: "alone", overlap: "queue" }));
  const inLine = async () => (await bench.kv.get(bench.keys.lockNext("t", "alone"))) !== undefined;
  await eventually("three processes run", async () => (await bench.procs("n1")).length === 3);
  const next = await bench.run("n1", "t/alone", command("true", { kind: "alone", overlap: "queue" }));
  await eventually("one stands next in line", inLine);
  await bench.run("n1", "t/queue", command("sleep 60", { overlap: "queue" }));
  await eventually("it runs", async () => (await bench.procs("n1")).length === 4);
  const queued = await bench.run("n1", "t/queue", command("true", { overlap: "queue" }));
  await eventually("it is on hand", async () => (await bench.onHand("n1")) === 7);
  const pid = (await bench.procs("n1")).find((proc) => proc.execution === stubborn)?.pid ?? 0;

  for (const execution of [running, waiting, stubborn, next, queued]) await bench.kill("n1", execution, "enough of this");
  t.deepEqual((await recordsOf(bench, running, 1)).map(words), ["1 killed"]);
  t.deepEqual((await recordsOf(bench, waiting, 2)).map(words), ["1… exit:7", "2 killed"]);
  t.deepEqual((await recordsOf(bench, queued, 1)).map(words), ["1 skipped:cancelled"]);
  t.deepEqual((await recordsOf(bench, next, 1)).map(words), ["1 skipped:cancelled"]);
  const [ended] = await recordsOf(bench, stubborn, 1);
  t.is(outcomeWord(ended?.outcome ?? { type: "oom" }), "killed");
  t.true((ended?.durationMs ?? 0) >= 300);
  t.false(isAlive(pid));
  for (const record of await bench.records())
    if (record.finalAttempt) t.regex(detailOf(record), /alice: enough of this/, `${record.jobId} says who and why`);
  t.false(await inLine(), "the place in the line is free again");
  await bench.kill("n1", holder);
  await recordsOf(bench, holder, 1);
});

test("orders: environment, attempt and tick of a rerun; seen twice runs once; a drained node runs orders but no ticks", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const dueAt = "2026-01-01T00:00:00.000Z";
  const script = 'echo "$WHO $FLEETCRON_ATTEMPT $FLEETCRON_DUE $FLEETCRON_NODE $FLEETCRON_GROUP/$FLEETCRON_JOB"';
  const seen = bench.file("seen");
  const counted = `${script}; echo >> ${seen}`;
  const id = newId();
  const rerun = { of: "x", ruleId: "r1", dueAt, attempt: 4 };
  const execution = await bench.run("n1", "t/env", command(counted, { env: { WHO: "job" } }), { id, env: { WHO: "order" }, rerun });
  const [record] = await recordsOf(bench, execution, 1);
  t.is(record?.output?.tail, `order 4 ${dueAt} n1 t/env\n`);
  t.is(record?.orderId, id);
  t.is(record?.attempt, 4);

  await bench.agent("n1").restart();
  await bench.run("n1", "t/env", command(counted), { id, execution });
  await bench.drain("n1", true);
  await bench.dispatch("n1", "t/tick", {});
  await eventually("ticks are refused", async () => (await bench.records("t/tick")).length >= 2);
  const ordered = await bench.run("n1", "t/ordered", command("true"));
  await recordsOf(bench, ordered, 1);
  await bench.drain("n1", false);
  await eventually("ticks run again", async () => (await bench.records("t/tick")).some((each) => each.success));
  const kinds = (await bench.records("t/tick")).map((each) => outcomeWord(each.outcome));
  t.deepEqual(
    kinds.filter((kind) => kind !== "exit:0"),
    kinds.slice(0, kinds.indexOf("exit:0")).map(() => "skipped:drained"),
  );
  t.is((await bench.records("t/env")).length, 1);
  t.is(textOf(seen), "\n", "the order was carried out once");
});
