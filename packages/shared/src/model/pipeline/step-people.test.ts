/** What people do to a run: decide, cancel, begin again, report. */
import test from "ava";
import type { PipelineSpec } from "./pipeline-spec.ts";
import type { RunState, TaskState } from "./run-document.ts";
import { begin, MINUTE, T0, task } from "./step-contract.ts";

test("audit: only those who may, a comment to deny, idempotent, the opposite is a conflict", (t) => {
  const spec: PipelineSpec = { tasks: [task("a", { audit: { auditors: ["ann", "bob"], timeout: "1h" } }), task("b", { needs: ["a"] })] };
  const run = begin(spec);
  t.is(run.states().a, "waitingAudit");
  t.is(run.refused({ type: "decide", kind: "audit", task: "a", verdict: "yes", by: "eve", comment: "" }), "auth/denied");
  t.is(run.refused({ type: "decide", kind: "audit", task: "a", verdict: "no", by: "ann", comment: " " }), "input/invalid");
  t.is(run.refused({ type: "decide", kind: "confirm", task: "a", verdict: "yes", by: "ann", comment: "" }), "pipeline/not-now");
  t.is(run.refused({ type: "decide", kind: "audit", task: "b", verdict: "yes", by: "ann", comment: "" }), "pipeline/not-now");
  t.true(run.decide("audit", "a", "yes", "ann"));
  t.is(run.states().a, "scheduling");
  t.false(run.decide("audit", "a", "yes", "bob"), "approved already");
  t.is(run.refused({ type: "decide", kind: "audit", task: "a", verdict: "no", by: "bob", comment: "late" }), "pipeline/decided");
  t.like(run.run.tasks.a?.audit, { verdict: "yes", by: "ann" });

  const denied = begin(spec);
  denied.decide("audit", "a", "no", "bob", "not today");
  t.is(denied.run.state, "failed");
  t.is(denied.run.tasks.a?.message, "denied by bob: not today");
  const late = begin(spec);
  late.wait(61 * MINUTE);
  t.is(late.run.tasks.a?.message, "nobody approved it within 1h");
});

test("confirm: what follows waits for it, and the checker has the last word", (t) => {
  const spec: PipelineSpec = { tasks: [task("a", { confirm: { checkers: ["ann"] } }), task("b", { needs: ["a"] })] };
  for (const [success, verdict, state] of [
    [true, "yes", "succeeded"],
    [false, "yes", "succeeded"],
    [true, "no", "failed"],
  ] as const) {
    const run = begin(spec);
    run.through("a", success);
    t.deepEqual(run.states(), { a: "waitingConfirm", b: "pending" });
    run.decide("confirm", "a", verdict, "ann", "seen");
    t.is(run.states().a, state);
    t.is(run.states().b, state === "succeeded" ? "scheduling" : "cancelled");
  }
  const unstarted = begin(spec);
  unstarted.order("a");
  unstarted.end("a", false, { ran: false });
  t.is(unstarted.states().a, "failed", "there is no result to confirm");
});

test("cancel: what waits is cancelled, what runs is killed, finally runs; a second cancel ends finally too", (t) => {
  const run = begin({
    finally: [task("clean")],
    stages: [
      { name: "s", parallel: true, tasks: [task("a"), task("b")] },
      { name: "t", tasks: [task("c")] },
    ],
  });
  run.order("a");
  run.do({ type: "cancel", by: "ann", reason: "wrong branch" });
  t.deepEqual(run.states(), { a: "cancelling", b: "cancelled", c: "cancelled", clean: "pending" });
  t.like(
    run.effects.find(({ type }) => type === "kill"),
    { node: "n1", execution: "a-1-n1" },
  );
  run.end("a", false);
  t.deepEqual(run.states(), { a: "cancelled", b: "cancelled", c: "cancelled", clean: "scheduling" });
  run.order("clean");
  run.do({ type: "cancel", by: "ann", reason: "" });
  t.is(run.states().clean, "cancelling");
  run.wait(2 * MINUTE);
  t.is(run.run.state, "cancelled", "a node that does not answer holds nobody up");
  t.is(run.run.message, "cancelled by ann: wrong branch");
  t.is(run.refused({ type: "cancel", by: "ann", reason: "" }), "pipeline/not-now");
});

test("what was not ordered yet is never ordered once the run is cancelled", (t) => {
  const run = begin({ tasks: [task("a")] });
  run.do({ type: "placed", task: "a", attempt: 1, instances: [{ node: "n1", execution: "x" }] });
  run.do({ type: "cancel", by: "ann", reason: "" });
  t.is(run.run.state, "cancelled");
  t.false(run.do({ type: "ordered", task: "a", attempt: 1, executions: ["x"] }));
  t.false(run.effects.some(({ type }) => type === "order" || type === "kill"));
});

test("status from outside: with the token of the attempt, forwards only; an operator may end what hangs", (t) => {
  const run = begin({ tasks: [task("a", { manualStatus: true, timeout: "1h" })] });
  t.is(run.refused({ type: "status", task: "a", attempt: undefined, state: "active", message: "" }), "done");
  run.order("a", ["n1"], "hash");
  t.is(run.run.tasks.a?.tokenHash, "hash");
  run.end("a");
  t.like(run.run.tasks.a, { state: "active", wait: { for: "status", until: new Date(T0 + 60 * MINUTE).toISOString() } });
  t.is(run.refused({ type: "status", task: "a", attempt: 2, state: "failed", message: "" }), "pipeline/not-now");
  run.do({ type: "status", task: "a", attempt: 1, state: "active", message: "rolling out" });
  t.is(run.run.tasks.a?.message, "rolling out");
  run.do({ type: "status", task: "a", attempt: 1, state: "succeeded", message: "" });
  t.is(run.run.state, "succeeded");
  t.false(run.do({ type: "status", task: "a", attempt: 1, state: "active", message: "late" }));
  t.false(run.do({ type: "status", task: "a", attempt: 1, state: "succeeded", message: "again" }));
  t.is(run.refused({ type: "status", task: "a", attempt: 1, state: "failed", message: "" }), "pipeline/decided");

  const forced = begin({ tasks: [task("a")] });
  forced.order("a");
  t.is(forced.refused({ type: "status", task: "a", attempt: 1, state: "succeeded", message: "" }), "pipeline/not-now");
  forced.do({ type: "status", task: "a", attempt: undefined, state: "succeeded", message: "done by hand" });
  t.is(forced.run.state, "succeeded");
  t.true(forced.effects.some(({ type }) => type === "kill"));
});

test("rerun: whole, or from a task on with what is done kept; a new attempt with history", (t) => {
  const run = begin({ finally: [task("clean")], tasks: [task("a"), task("b", { needs: ["a"] }), task("c", { needs: ["b"] }), task("x")] });
  run.through("a");
  run.through("x");
  run.through("b", false);
  run.through("clean");
  t.is(run.run.state, "failed");
  run.do({ type: "rerun", from: "b", by: "bob" });
  t.like(run.run, { state: "queued", attempt: 2, by: "bob", history: [{ attempt: 1, state: "failed" }] });
  t.deepEqual(run.states(), { a: "succeeded", b: "pending", c: "pending", x: "succeeded", clean: "pending" });
  t.is(run.run.failure, undefined);
  run.do({ type: "start" });
  t.is(run.run.tasks.b?.attempt, 2);
  run.through("b");
  run.through("c");
  run.through("clean");
  t.is(run.run.state, "succeeded");
  run.do({ type: "rerun", from: "b", by: "bob" });
  t.deepEqual(
    run.states(),
    { a: "succeeded", b: "pending", c: "pending", x: "succeeded", clean: "pending" },
    "c has succeeded, but needs b",
  );
  run.do({ type: "cancel", by: "bob", reason: "" });
  t.is(run.refused({ type: "rerun", from: "nope", by: "bob" }), "pipeline/no-task");
  run.do({ type: "rerun", by: "bob" });
  t.deepEqual(new Set(Object.values(run.states())), new Set<TaskState>(["pending"]));
  t.is(run.refused({ type: "rerun", by: "bob" }), "pipeline/not-now");
  const end: RunState = "cancelled";
  run.do({ type: "cancel", by: "bob", reason: "" });
  t.is(run.run.state, end);
});
