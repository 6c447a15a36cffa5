import test from "ava";
import type { PipelineSpec } from "./pipeline-spec.ts";
import type { RunPlan } from "./plan.ts";
import { nextDeadline } from "./run-document.ts";
import { begin, MINUTE, T0, task } from "./step-contract.ts";

test("stages: a serial one goes task by task, a parallel one at once, and the join is when all are complete", (t) => {
  const run = begin({
    stages: [
      { name: "one", tasks: [task("a"), task("b")] },
      { name: "two", parallel: true, tasks: [task("c"), task("d")] },
      { name: "three", tasks: [task("e")] },
    ],
  });
  t.deepEqual(run.states(), { a: "scheduling", b: "pending", c: "pending", d: "pending", e: "pending" });
  run.through("a");
  t.is(run.states().b, "scheduling");
  run.through("b");
  t.deepEqual(run.states(), { a: "succeeded", b: "succeeded", c: "scheduling", d: "scheduling", e: "pending" });
  run.order("c");
  run.order("d");
  run.end("c");
  t.is(run.states().e, "pending", "a sibling still runs");
  run.end("d");
  t.is(run.states().e, "scheduling");
  run.through("e");
  t.is(run.run.state, "succeeded");
});

test("needs make a graph", (t) => {
  const run = begin({
    tasks: [
      task("last", { needs: ["left", "right"] }),
      task("left", { needs: ["first"] }),
      task("right", { needs: ["first"] }),
      task("first"),
    ],
  });
  t.deepEqual(
    run.plan.tasks.map(({ name }) => name),
    ["first", "left", "right", "last"],
  );
  run.through("first");
  t.deepEqual(run.states(), { first: "succeeded", left: "scheduling", right: "scheduling", last: "pending" });
  run.through("right");
  t.is(run.states().last, "pending");
  run.through("left");
  t.is(run.states().last, "scheduling");
});

test("a failure stops what has not begun; what runs comes to its end, or is ended with failFast; finally runs", (t) => {
  for (const onFailure of ["stop", "failFast"] as const) {
    const run = begin({
      onFailure,
      finally: [task("clean")],
      stages: [
        { name: "s", parallel: true, tasks: [task("a"), task("b"), task("c", { audit: { auditors: ["ann"] } })] },
        { name: "t", tasks: [task("d")] },
      ],
    });
    run.order("a");
    run.order("b");
    run.do({ type: "started", task: "b", attempt: 1, execution: run.execution("b") });
    run.end("a", false);
    t.is(run.states().c, "cancelled");
    t.is(run.states().d, "cancelled");
    t.is(run.states().b, onFailure === "stop" ? "active" : "cancelling");
    t.is(run.states().clean, "pending", "finally waits for what runs");
    run.end("b", onFailure === "stop");
    t.is(run.states().b, onFailure === "stop" ? "succeeded" : "cancelled");
    run.through("clean");
    t.is(run.run.state, "failed");
    t.is(run.run.message, "task a failed: exit:1 on n1");
  }
});

test("an ignored failure counts as done and leaves its trace", (t) => {
  const run = begin({ tasks: [task("a", { ignoreFailed: true }), task("b", { needs: ["a"] })] });
  run.through("a", false);
  t.is(run.states().b, "scheduling");
  run.through("b");
  t.is(run.run.state, "succeeded");
  t.is(run.run.message, "1 task has failed, which is ignored");
});

test("no retry once another task has failed the run", (t) => {
  const run = begin({ tasks: [task("a"), task("b", { retry: { limit: 3 } })] });
  run.order("a");
  run.order("b");
  run.end("a", false);
  run.end("b", false);
  t.is(run.run.state, "failed");
  t.is(run.run.tasks.b?.attempt, 1);
});

test("late, doubled and older facts change nothing", (t) => {
  const run = begin({ tasks: [task("a", { retry: { limit: 1, delay: "1m" } }), task("b", { needs: ["a"] })] });
  run.through("a", false);
  t.like(run.run.tasks.a, { state: "scheduling", attempt: 2, wait: { for: "retry" } });
  t.like(run.run.tasks.a?.history, [{ attempt: 1, state: "failed", nodes: ["n1"], message: "exit:1 on n1" }]);
  t.false(run.do({ type: "ended", task: "a", attempt: 1, execution: "a-1-n1", success: true, ran: true, message: "" }));
  t.false(run.do({ type: "placed", task: "a", attempt: 2, instances: [{ node: "n1", execution: "x" }] }), "the delay is not over");
  run.wait(MINUTE);
  t.false(run.do({ type: "placed", task: "a", attempt: 1, instances: [{ node: "n1", execution: "x" }] }), "of an older attempt");
  run.through("a");
  t.is(run.states().b, "scheduling");
  t.false(run.end("a", false));
  t.false(run.do({ type: "started", task: "a", attempt: 2, execution: "a-2-n1" }));
  run.through("b");
  t.false(run.do({ type: "ended", task: "b", attempt: 1, execution: "b-1-n1", success: false, ran: true, message: "" }));
  t.is(run.run.state, "succeeded");
});

test("on each node: all must succeed, and a retry goes where it failed", (t) => {
  const run = begin({ tasks: [task("a", { forEachNode: true, retry: { limit: 1, delay: "0" } })] });
  run.order("a", ["n1", "n2", "n3"]);
  run.end("a", true, { node: "n1" });
  run.end("a", false, { node: "n2" });
  t.is(run.states().a, "active");
  run.end("a", true, { node: "n3" });
  t.like(run.run.tasks.a, { state: "scheduling", attempt: 2, onlyNodes: ["n2"] });
  run.wait(0);
  run.order("a", ["n2"]);
  run.end("a", true, { node: "n2" });
  t.is(run.run.state, "succeeded");
  t.deepEqual(
    run.run.tasks.a?.instances?.map(({ node }) => node),
    ["n1", "n3", "n2"],
  );
});

test("timeouts: of a task, of the wait for a node, of the run", (t) => {
  const one = begin({ tasks: [task("a", { timeout: "5m" })] });
  one.order("a");
  t.is(nextDeadline(one.run), new Date(T0 + 5 * MINUTE).toISOString());
  one.wait(5 * MINUTE);
  t.is(one.states().a, "cancelling");
  one.end("a", false);
  t.is(one.run.tasks.a?.state, "failed");
  t.is(one.run.message, "task a failed: it did not end within 5m");

  const two = begin({ tasks: [task("a", { nodeTimeout: "1m" })] });
  two.do({ type: "noNode", task: "a", attempt: 1, why: "all are offline" });
  two.wait(MINUTE);
  t.is(two.run.tasks.a?.message, "no node could take it within 1m: all are offline");

  const three = begin({ timeout: "1h", finally: [task("clean")], tasks: [task("a"), task("b", { needs: ["a"] })] });
  three.order("a");
  three.wait(61 * MINUTE);
  t.deepEqual(three.states(), { a: "cancelling", b: "cancelled", clean: "pending" });
  three.end("a", false);
  three.through("clean");
  t.is(three.run.state, "failed");
  t.is(three.run.message, "the run did not end within 1h");
});

test("when, skip and dryRun", (t) => {
  const run = begin(
    {
      params: [{ name: "ENV", value: "dev" }],
      stages: [
        {
          name: "s",
          tasks: [
            task("a", { skip: true }),
            task("b", { when: { ENV: "prod" } }),
            task("c", { dryRun: true }),
            task("d", { when: { ENV: ["dev", "test"], COLOUR: "!*" } }),
          ],
        },
      ],
    },
    {},
  );
  t.deepEqual(run.states(), { a: "skipped", b: "skipped", c: "skipped", d: "scheduling" });
  t.is(run.run.tasks.b?.message, 'its condition does not hold: ENV is "dev"');
  t.false(run.effects.some(({ type }) => type === "order"));
});

test("outputs are there for later tasks, and a wrong one fails the task that takes it", (t) => {
  const spec: PipelineSpec = {
    params: [{ name: "COLOUR", type: "enum", options: ["red", "blue"] }],
    tasks: [task("a"), task("b", { needs: ["a"], when: { COLOUR: "red" } }), task("other", { when: { COLOUR: "!*" } })],
  };
  const run = begin(spec);
  t.is(run.states().other, "scheduling");
  run.through("a", true, { COLOUR: "red" });
  t.is(run.states().b, "scheduling");
  const wrong = begin(spec);
  wrong.through("a", true, { COLOUR: "red" });
  const bad = begin({ ...spec, tasks: [task("a"), task("b", { needs: ["a"] })] });
  bad.through("a", true, { COLOUR: "green" });
  t.is(bad.run.tasks.b?.message, 'its params are not right: params.COLOUR found "green" from the output; allowed: red, blue');
  const large = begin(spec);
  large.through("a", true, { X: "x".repeat(300 * 1024) });
  t.is(large.states().a, "failed");
});

test("500 tasks: a step takes less than a millisecond, the document stays small", (t) => {
  const run = begin({
    stages: [
      { name: "s", parallel: true, tasks: Array.from({ length: 499 }, (_, i) => task(`a${i}`)) },
      { name: "t", tasks: [task("z")] },
    ],
  });
  const plan: RunPlan = run.plan;
  for (let i = 0; i < 499; i++) run.order(`a${i}`);
  const times = Array.from({ length: 499 }, (_, i) => {
    const before = process.hrtime.bigint();
    run.end(`a${i}`);
    return Number(process.hrtime.bigint() - before) / 1e6;
  });
  const perStep = times.sort((a, b) => a - b)[250] ?? 0;
  t.log(
    `${perStep.toFixed(3)} ms a step, ${Math.round(JSON.stringify(run.run).length / 1024)} KiB, plan ${Math.round(JSON.stringify(plan).length / 1024)} KiB`,
  );
  t.true(perStep < 1, `${perStep} ms`);
  t.is(run.states().z, "scheduling");
  t.true(JSON.stringify(run.run).length < 512 * 1024);
});
