import test from "ava";
import type { PipelineHistory, TaskEvidence, TaskVerdict } from "./history.ts";
import { pipelines } from "./pipelines.ts";

const tasks = [
  { run: "R", task: "a", needs: [] },
  { run: "R", task: "b", needs: [] },
  { run: "R", task: "join", needs: ["a", "b"] },
];
const did = (task: string, beginMs: number, more: Partial<TaskEvidence> = {}): TaskEvidence => ({
  ...{ run: "R", task, attempt: 1, node: "n1", beginMs, endMs: beginMs + 10, exitCode: 0 },
  ...more,
});
const says = (task: string, state: string, more: Partial<TaskVerdict> = {}): TaskVerdict => ({
  run: "R",
  task,
  attempt: 1,
  state,
  ...more,
});
const fine = [did("a", 0), did("b", 5), did("join", 15)];
const verdicts = [says("a", "succeeded", { nodes: ["n1"] }), says("b", "succeeded"), says("join", "succeeded")];

function kinds(of: Partial<PipelineHistory>): string[] {
  return pipelines({ tasks, evidence: fine, verdicts, ...of }).map(({ kind }) => kind);
}

test("each task once, after what it needs", (t) => {
  t.deepEqual(kinds({}), []);
  t.deepEqual(kinds({ evidence: [did("a", 0), did("b", 5), did("join", 14)] }), ["taskEarly"]);
  t.deepEqual(kinds({ evidence: [did("a", 0), did("b", 30), did("join", 15)] }), ["taskEarly"]);
  t.deepEqual(kinds({ evidence: [...fine, did("join", 20)] }), ["taskTwice"]);
  t.deepEqual(kinds({ evidence: [...fine, did("join", 20, { node: "n2" })] }), [], "on another node it is another instance");
});

test("attempts follow each other, and a killed one has no end", (t) => {
  const { endMs: _, exitCode: __, ...killed } = did("a", 0);
  const again = [killed, did("a", 20, { attempt: 2 }), did("b", 5), did("join", 31)];
  t.deepEqual(kinds({ evidence: again, verdicts: [says("a", "succeeded", { attempt: 2 }), ...verdicts.slice(1)] }), []);
  t.deepEqual(kinds({ evidence: again }), ["taskState", "taskState"].slice(0, 1), "the document knows of one attempt only");
});

test("the document's states agree with the evidence", (t) => {
  const without = (task: string) => fine.filter((one) => one.task !== task);
  t.deepEqual(kinds({ evidence: without("a") }), ["taskState"]);
  t.deepEqual(kinds({ evidence: without("b") }), [], "somebody may have reported its status");
  t.deepEqual(kinds({ verdicts: [...verdicts.slice(0, 2), says("join", "skipped")] }), ["taskState"]);
  t.deepEqual(kinds({ evidence: [...without("join"), did("join", 15, { exitCode: 2 })] }), ["taskState"]);
  t.deepEqual(kinds({ evidence: [...fine, did("other", 15)] }), ["taskState"]);
});
