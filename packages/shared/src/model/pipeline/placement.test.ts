import test from "ava";
import type { TaskSpec } from "./pipeline-spec.ts";
import { type Candidate, place } from "./placement.ts";
import { makePlan } from "./plan.ts";
import { newRun, type RunDocument, type TaskRun } from "./run-document.ts";

const node = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  labels: {},
  online: true,
  draining: false,
  load: 0,
  ...more,
});

function placed(task: Partial<TaskSpec>, nodes: readonly Candidate[], tasks: Record<string, Partial<TaskRun>> = {}) {
  const job = { run: { command: { script: "true" } } };
  const made = makePlan({
    ...{
      run: "r",
      group: "g",
      id: "p",
      revision: 1,
      updatedAt: "2027-01-01T00:00:00.000Z",
      values: {},
      labels: {},
      jobOf: () => undefined,
      jobKeys: () => [],
    },
    spec: {
      tasks: [
        { name: "before", job },
        { name: "t", job, ...task },
      ],
    },
  });
  if (!("plan" in made)) throw new Error(JSON.stringify(made.issues));
  const first = newRun(made.plan, { by: "ann", trigger: "manual", at: "2027-01-01T00:00:00.000Z" });
  const run: RunDocument = {
    ...first,
    tasks: Object.fromEntries(Object.entries(first.tasks).map(([name, held]) => [name, { ...held, ...tasks[name] }])),
  };
  const planned = made.plan.tasks.find(({ name }) => name === "t");
  if (planned === undefined) throw new Error("no task");
  return place(made.plan, run, planned, nodes);
}

test("one node: online, not draining, matching; then the least loaded, then the preferred", (t) => {
  const nodes = [node("off", { online: false }), node("drains", { draining: true }), node("busy", { load: 2 }), node("a"), node("b")];
  t.deepEqual(placed({ target: { prefer: ["b"] } }, nodes), { nodes: ["b"], leftOut: undefined });
  t.deepEqual(placed({ target: { prefer: ["busy"], nodes: ["busy", "a"] } }, nodes), { nodes: ["a"], leftOut: undefined });
});

test("a retry goes elsewhere when it can", (t) => {
  const held = { t: { history: [{ attempt: 1, state: "failed", nodes: ["a"] }] } } as const;
  t.deepEqual(placed({ target: { prefer: ["a"] } }, [node("a"), node("b")], held), { nodes: ["b"], leftOut: undefined });
  t.deepEqual(placed({}, [node("a")], held), { nodes: ["a"], leftOut: undefined });
});

test("each node, and which are left out", (t) => {
  const nodes = [node("c"), node("b", { online: false }), node("a"), node("d", { draining: true })];
  t.deepEqual(placed({ forEachNode: true }, nodes), { nodes: ["a", "c"], leftOut: "left out: b (offline), d (draining)" });
});

test("the node of another task", (t) => {
  const ran = { before: { instances: [{ node: "b", execution: "x", state: "succeeded" }] } } as const;
  t.deepEqual(placed({ sameNodeAs: "before", needs: ["before"] }, [node("a"), node("b", { load: 9 })], ran), {
    nodes: ["b"],
    leftOut: undefined,
  });
  t.deepEqual(placed({ sameNodeAs: "before", needs: ["before"] }, [node("a")], ran), {
    why: "no registered node matches its target (it must be b, where before ran)",
  });
  t.deepEqual(
    placed({ sameNodeAs: "before", needs: ["before"] }, [node("a")]),
    { nodes: ["a"], leftOut: undefined },
    "it was skipped, so any will do",
  );
});

test("no node, and why", (t) => {
  t.deepEqual(placed({ target: { labels: { role: "db" } } }, [node("a")]), { why: "no registered node matches its target" });
  t.deepEqual(placed({}, [node("a", { online: false })]), { why: "the only matching node, a, is offline" });
  t.deepEqual(placed({}, [node("a", { online: false }), node("b", { draining: true })]), {
    why: "all matching nodes (a, b) are draining or offline",
  });
});
