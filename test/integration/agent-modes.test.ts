/** When a real agent runs a job: the modes of a rule and its timers, over restarts, pauses, resets and orders. */
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { newId, startAgentBench, words } from "../support/agent-bench.ts";
import { eventually } from "../support/fleet.ts";

const once = (mode: "onlyonce" | "manyonce", script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode }],
  ...more,
});

test("onlyonce: retries until it succeeds, then never again: not after a restart, an edit, a new submission; after a reset it does", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const flag = bench.file("flag");
  const spec = once("onlyonce", `test -e ${flag}`, { retry: { limit: 1, delay: "10ms" } });
  const createdAt = toIso(systemClock.now());
  const recordsAre = (what: string, expected: readonly string[]) =>
    eventually(
      what,
      async () => {
        const found = (await bench.records("t/once")).map(words);
        return found.length >= expected.length && found;
      },
      10_000,
    ).then((found) => t.deepEqual(found, expected, what));

  await bench.dispatch("n1", "t/once", spec, { createdAt, submittedAt: createdAt });
  await recordsAre("it failed, with its retry", ["1… exit:1", "2 exit:1"]);
  await bench.dispatch("n1", "t/once", { ...spec, pause: true }, { createdAt, submittedAt: createdAt });
  await bench.dispatch("n1", "t/once", spec, { createdAt, submittedAt: createdAt });
  await bench.agent("n1").restart();
  await bench.put(flag, "");
  const second = await bench.dispatch("n1", "t/once", { ...spec, run: { command: { script: "true" } } }, { createdAt });
  await recordsAre("only the new submission ran again", ["1… exit:1", "2 exit:1", "1 exit:0"]);
  await bench.idle();
  await bench.agent("n1").restart();
  await bench.dispatch("n1", "t/once", { ...spec, description: "another form" }, { createdAt });
  await bench.agent("n1").restart();
  const third = await bench.dispatch("n1", "t/once", { ...spec, run: { command: { script: "exit 3" } } }, { createdAt });
  t.true(third > second);
  await observed(bench, "n1");
  t.is((await bench.records("t/once")).length, 3, "a success is for ever");
  const order = newId();
  const value = { v: 1, type: "reset", id: order, group: "t", job: "once", by: "test", orderedAt: toIso(systemClock.now()) };
  await bench.put(bench.keys.order("n1", order), JSON.stringify(value));
  await recordsAre("the reset made it due again", ["1… exit:1", "2 exit:1", "1 exit:0", "1… exit:3", "2 exit:3"]);
});

test("onlyonce: a success by order counts; a job that leaves the node and comes back is not run again", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const createdAt = toIso(systemClock.now());
  await bench.dispatch("n1", "t/once", once("onlyonce", "exit 1"), { createdAt });
  await eventually("it failed", async () => (await bench.records()).length === 1);
  await bench.run("n1", "t/once", once("onlyonce", "true"), { createdAt });
  await eventually("the order succeeded", async () => (await bench.records()).length === 2);
  await bench.undispatch("n1", "t/once");
  await bench.agent("n1").restart();
  await bench.dispatch("n1", "t/once", once("onlyonce", "true"), { createdAt });
  await observed(bench, "n1");
  await bench.idle();
  t.is((await bench.records()).length, 2);
});

test("manyonce: once at each submission and each order, not after pause and resume", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const spec = once("manyonce", "true");
  const submittedAt = toIso(systemClock.now());
  const meta = { createdAt: submittedAt, submittedAt };
  await bench.dispatch("n1", "t/many", spec, meta);
  await eventually("it ran at its submission", async () => (await bench.records()).length === 1);
  await bench.dispatch("n1", "t/many", { ...spec, pause: true }, meta);
  const execution = await bench.run("n1", "t/many", { ...spec, pause: true });
  await eventually("it ran by order, though paused", async () => (await bench.records()).some((record) => record.execution === execution));
  await bench.dispatch("n1", "t/many", spec, meta);
  await bench.agent("n1").restart();
  await bench.dispatch("n1", "t/many", spec, { createdAt: submittedAt });
  await eventually("it ran at its second submission", async () => (await bench.records()).length === 3);
  await bench.idle();
  t.deepEqual((await bench.records()).map(words), ["1 exit:0", "1 exit:0", "1 exit:0"]);
});

test("@startup once per boot, @at once, @every on its anchor, each with its due time; a fresh agent fires nothing of the past", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: [] });
  const anchorMs = Math.floor(systemClock.now() / 1000) * 1000 - 86_400_000 + 345;
  const old = { createdAt: toIso(anchorMs), updatedAt: toIso(anchorMs), submittedAt: toIso(anchorMs) };
  const cycle = (timer: string, more: Partial<JobSpec> = {}) => ({ rules: [{ mode: "cycle" as const, timer }], ...more });
  const soon = toIso(Math.ceil(systemClock.now() / 1000) * 1000 + 5000);
  await bench.dispatch("n1", "t/startup", cycle("@startup"), old);
  await bench.dispatch("n1", "t/at", cycle(`@at ${soon}`), old);
  await bench.dispatch("n1", "t/past", cycle(`@at ${toIso(systemClock.now() - 60_000)}`), old);
  await bench.dispatch("n1", "t/daily", cycle("0 0 * * *", { misfire: "all", misfireWindow: "31d" }), old);
  await bench.dispatch("n1", "t/every", cycle("@every 2s"), old);
  const startedMs = systemClock.now();
  await bench.add("n1");
  await eventually("the tick of @at ran", async () => (await bench.records("t/at")).length > 0);
  await bench.agent("n1").restart();
  const afterMs = systemClock.now();
  await eventually("@every goes on", async () => (await bench.records("t/every")).some((r) => Date.parse(r.dueAt ?? "") > afterMs));
  const of = async (job: string) => (await bench.records(job)).map((record) => record.dueAt ?? "");
  t.is((await of("t/startup")).length, 1);
  t.deepEqual(await of("t/at"), [soon]);
  t.deepEqual(await of("t/past"), []);
  t.deepEqual(await of("t/daily"), []);
  const every = (await of("t/every")).map((due) => Date.parse(due));
  t.true(every.every((due) => (due - anchorMs) % 2000 === 0 && due > startedMs - 1000));
  t.is(new Set(every).size, every.length);
});

/** Resolves when the agent has seen everything that was written so far. */
async function observed(bench: Awaited<ReturnType<typeof startAgentBench>>, node: string): Promise<void> {
  const revision = await bench.dispatch(node, "t/marker", { pause: true });
  await eventually("the agent has seen it", async () => ((await bench.alive(node))?.observedRevision ?? 0) > revision);
}
