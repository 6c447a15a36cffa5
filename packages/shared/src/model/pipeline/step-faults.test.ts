/** What pipelines of mflow stumbled over, and nothing else shows here (docs/mflow-faults.md). */
import test from "ava";
import type { PipelineSpec } from "./pipeline-spec.ts";
import { makePlan, type PlannedJob } from "./plan.ts";
import { begin, MINUTE, T0, task } from "./step-contract.ts";

test("500 tasks that end in one step, one after the other, do so without an end of the stack", (t) => {
  const tasks = Array.from({ length: 499 }, (_, i) => task(`t${i}`, { skip: true }));
  const run = begin({ stages: [{ name: "s", tasks: [task("first"), ...tasks] }] });
  run.through("first");
  t.is(run.run.state, "succeeded");
  t.is(Object.values(run.states()).filter((state) => state === "skipped").length, 499);
});

test("two tasks of one stage that run the same stored job have both their order, in the order of the file", (t) => {
  const at = "2027-01-01T00:00:00.000Z";
  const spec = { run: { command: { script: "true" } }, rules: [] };
  const job: PlannedJob = { group: "g", id: "j", revision: 3, createdAt: at, updatedAt: at, submittedAt: at, spec };
  const pipeline: PipelineSpec = {
    stages: [{ name: "s", tasks: ["z", "a", "m"].map((name) => ({ name, job: "g/j", params: {} })) }],
  };
  const made = makePlan({
    ...{ run: "r", group: "g", id: "p", revision: 1, updatedAt: at, spec: pipeline, values: {}, labels: {} },
    ...{ jobOf: () => job, jobKeys: () => ["g/j"] },
  });
  t.deepEqual("plan" in made && made.plan.tasks.map(({ name, job: key }) => [name, key]), [
    ["z", "g/j"],
    ["a", "g/j"],
    ["m", "g/j"],
  ]);
  const run = begin({ stages: [{ name: "s", tasks: ["z", "a", "m"].map((name) => task(name)) }] });
  for (const name of ["z", "a", "m"]) {
    t.deepEqual(Object.entries(run.states()).find(([, state]) => state === "scheduling")?.[0], name);
    run.through(name);
  }
  t.is(run.run.state, "succeeded");
});

test("a denied task whose failure is ignored is over, and is not asked about again", (t) => {
  const run = begin({ tasks: [task("a", { audit: { auditors: ["ann"] }, ignoreFailed: true }), task("b", { needs: ["a"] })] });
  run.decide("audit", "a", "no", "ann", "not today");
  t.deepEqual(run.states(), { a: "failed", b: "scheduling" });
  t.like(run.run.tasks.a?.audit, { verdict: "no", by: "ann", comment: "not today" });
  t.is(run.run.tasks.a?.wait, undefined);
  run.through("b");
  t.is(run.run.state, "succeeded");
  t.is(run.run.message, "1 task has failed, which is ignored");
});

test("a parallel stage one of whose tasks cannot start: its siblings are started once and come to their end", (t) => {
  for (const ignoreFailed of [true, false]) {
    const first = task("a", ignoreFailed ? { ignoreFailed } : {});
    const run = begin({ stages: [{ name: "s", parallel: true, tasks: [first, task("b"), task("c")] }] });
    for (const name of ["a", "b", "c"]) run.order(name);
    run.end("a", false, { ran: false, message: "spawnFailed" });
    for (const name of ["b", "c"]) run.end(name);
    t.deepEqual(run.states(), { a: "failed", b: "succeeded", c: "succeeded" });
    t.is(run.run.state, ignoreFailed ? "succeeded" : "failed");
    t.is(run.effects.filter(({ type }) => type === "order").length, 3);
  }
});

test("times are those of the events, as instants in UTC", (t) => {
  const run = begin({ tasks: [task("a")] });
  run.order("a");
  run.wait(17 * MINUTE);
  run.end("a");
  const at = new Date(T0 + 17 * MINUTE).toISOString();
  t.deepEqual([run.run.tasks.a?.endedAt, run.run.endedAt], [at, at]);
});
