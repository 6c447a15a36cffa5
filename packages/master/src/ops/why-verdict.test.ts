import test from "ava";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { explain, type WhyFacts } from "./why-verdict.ts";

const DAY = 86_400_000;
const T0 = "2026-01-01T00:00:00.000Z";
const JOB = compileJob(
  { group: "g", id: "j", revision: 1, createdAt: T0, updatedAt: T0, submittedAt: T0 },
  { run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "@hourly" }] },
);
const DUE = Date.parse(T0) + DAY;
const ONLINE = { id: "a", online: true, draining: false, running: 0 };
const FACTS: WhyFacts = {
  nowMs: DUE + DAY,
  job: JOB,
  rule: JOB.rules[0]!,
  dueMs: DUE,
  inWindow: true,
  records: [],
  claim: undefined,
  runningOn: [],
  nodes: [ONLINE],
  oldestRecordMs: undefined,
};
const record = (more: Partial<ExecutionRecord>) =>
  ({ nodeId: "a", attempt: 1, success: true, skewMs: 3, outcome: { type: "exit", code: 0 }, ...more }) as ExecutionRecord;
const CLAIM = { v: 1, node: "a", execution: "e", at: T0 } as const;

for (const [name, change, verdict, reason] of [
  ["ran", { records: [record({})] }, "fired", null],
  [
    "ran on one node, skipped on another",
    { records: [record({}), record({ outcome: { type: "skipped", reason: "overlap" } })] },
    "fired",
    null,
  ],
  ["skipped", { records: [record({ success: false, outcome: { type: "skipped", reason: "isolated" } })] }, "skipped", "isolated"],
  ["missed", { records: [record({ success: false, outcome: { type: "missed", reason: "misfireWindow" } })] }, "missed", "misfireWindow"],
  ["lost", { records: [record({ success: false, outcome: { type: "lost", why: "nodeGone" } })] }, "lost", "nodeGone"],
  ["runs", { runningOn: ["a"], claim: CLAIM }, "running", null],
  ["claimed", { claim: CLAIM }, "claimed", null],
  ["claimed with a verdict", { claim: { ...CLAIM, verdict: "isolated" } }, "skipped", "isolated"],
  ["before the job", { dueMs: DUE - 2 * DAY }, "beforeJob", null],
  ["paused", { job: { ...JOB, pause: true } }, "paused", null],
  ["to come", { nowMs: DUE - 5 }, "pending", null],
  ["to come but paused", { nowMs: DUE - 5, job: { ...JOB, pause: true } }, "paused", null],
  ["just due", { nowMs: DUE + 500 }, "pending", null],
  ["outside", { inWindow: false }, "outsideWindow", null],
  ["no node", { nodes: [] }, "noNode", "noMatchingNode"],
  ["nobody online", { nodes: [{ ...ONLINE, online: false }] }, "noNode", "nodeOffline"],
  ["too old", { oldestRecordMs: DUE + 1 }, "unknown", null],
  ["no trace", {}, "unknown", null],
] as const satisfies readonly (readonly [string, Partial<WhyFacts>, string, string | null])[]) {
  test(`why: ${name}`, (t) => {
    const answer = explain({ ...FACTS, ...change });
    t.deepEqual([answer.verdict, answer.reason], [verdict, reason], answer.text);
    t.regex(answer.text, /^[A-Z].*\.$/);
  });
}
