import test from "ava";
import { againTask, moveRun, moveTask, openDraft } from "./draft.ts";
import { makePlan } from "./plan.ts";
import { newRun, RUN_AGAIN, RUN_EDGES, type RunDocument, type RunState, TASK_AGAIN, TASK_EDGES, type TaskState } from "./run-document.ts";

const made = makePlan({
  ...{ run: "r", group: "g", id: "p", revision: 1, updatedAt: "2027-01-01T00:00:00.000Z", values: {}, labels: {} },
  ...{ spec: { tasks: [{ name: "a", job: { run: { command: { script: "true" } } } }] }, jobOf: () => undefined, jobKeys: () => [] },
});
if (!("plan" in made)) throw new Error("no plan");
const { plan } = made;
const run = newRun(plan, { by: "ann", trigger: "manual", at: "2027-01-01T00:00:00.000Z" });
const runStates = Object.keys(RUN_EDGES) as RunState[];
const taskStates = Object.keys(TASK_EDGES) as TaskState[];

function works(change: () => void): boolean {
  try {
    change();
    return true;
  } catch {
    return false;
  }
}

test("a run moves along the edges of the table and no others", (t) => {
  for (const from of runStates) {
    for (const to of runStates) {
      const draft = openDraft(plan, { ...run, state: from }, 0);
      t.is(
        works(() => moveRun(draft, to)),
        RUN_EDGES[from].includes(to) || RUN_AGAIN[from] === to,
        `${from} → ${to}`,
      );
    }
  }
});

test("a task moves along the edges of the table and no others, and begins again only where it may", (t) => {
  for (const from of taskStates) {
    const held: RunDocument = { ...run, tasks: { a: { state: from, attempt: 1, since: run.createdAt } } };
    for (const to of taskStates) {
      t.is(
        works(() => moveTask(openDraft(plan, held, 0), "a", to)),
        TASK_EDGES[from].includes(to),
        `${from} → ${to}`,
      );
      if (to !== "pending" && to !== "scheduling") continue;
      t.is(
        works(() => againTask(openDraft(plan, held, 0), "a", to)),
        TASK_AGAIN[from]?.includes(to) === true,
        `${from} → ${to}, again`,
      );
    }
  }
});

test("terminal is terminal", (t) => {
  t.deepEqual(
    runStates.filter((state) => RUN_EDGES[state].length === 0),
    ["succeeded", "failed", "cancelled"],
  );
  t.deepEqual(
    taskStates.filter((state) => TASK_EDGES[state].length === 0),
    ["succeeded", "failed", "cancelled", "skipped"],
  );
});
