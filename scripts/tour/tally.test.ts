import test from "ava";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { JobKind, RuleSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { tally } from "./tally.ts";

const at = (second: number) => new Date(Date.UTC(2027, 0, 1, 0, 0, second)).toISOString();
const span = { fromMs: Date.parse(at(10)), untilMs: Date.parse(at(14)), timezone: "UTC" };
const nodes = [
  { id: "n1", labels: { role: "db" } },
  { id: "n2", labels: {} },
];

function job(kind: JobKind, rule: RuleSpec) {
  const meta = { group: "g", id: "j", revision: 1, createdAt: at(0), updatedAt: at(0), submittedAt: at(5) };
  return compileJob(meta, { kind, rules: [rule], run: { command: { script: "true" } } });
}

function record(nodeId: string, second: number, more: Partial<ExecutionRecord> = {}): ExecutionRecord {
  const id = `${nodeId}-${second}`;
  const base = {
    v: 1,
    id,
    execution: id,
    jobGroup: "g",
    jobId: "j",
    jobRevision: 1,
    ruleId: "r1",
    attempt: 1,
    finalAttempt: true,
    nodeId,
  } as const;
  return {
    ...base,
    dueAt: at(second),
    hostname: "h",
    name: "j",
    endTime: at(second),
    success: true,
    outcome: { type: "exit", code: 0 },
    skewMs: second,
    isHandled: true,
    ...more,
  };
}

test("a common job owes each matching node every tick, an interval job one of them", (t) => {
  const rule: RuleSpec = { mode: "cycle", timer: "*/2 * * * * *" };
  const records = [record("n1", 10), record("n2", 10), record("n1", 12), record("n2", 14)];
  t.like(tally(job("common", rule), nodes, records, span), { due: 6, fired: 4, missing: 2, duplicates: 0, worstSkewMs: 14 });
  t.like(tally(job("interval", rule), nodes, records, span), { due: 3, fired: 3, missing: 0, duplicates: 1 });
  t.like(tally(job("common", { ...rule, target: { labels: { role: "db" } } }), nodes, records, span), { due: 3, fired: 2, missing: 1 });
  t.like(tally(job("alone", { ...rule, target: { nodes: ["n9"] } }), nodes, [], span), { due: 0, missing: 0 });
});

test("a skip is an answer, a range of skips answers for all its ticks, a retry is no duplicate", (t) => {
  const rule: RuleSpec = { mode: "cycle", timer: "* * * * * *" };
  const skipped = { outcome: { type: "skipped", reason: "overlap" }, success: false } as const;
  const records = [
    record("n1", 10),
    record("n1", 10, { id: "again", attempt: 2 }),
    record("n1", 11, { ...skipped, dueUntil: at(13), dueCount: 3 }),
  ];
  t.like(tally(job("interval", rule), nodes, records, span), { due: 5, fired: 1, skipped: 3, missing: 1, duplicates: 0 });
});

test("rules without a timer owe their submission, records of other jobs and rules do not count", (t) => {
  t.like(tally(job("common", { mode: "onlyonce" }), nodes, [record("n1", 5), record("n2", 5, { ruleId: "r2" })], span), {
    due: 2,
    fired: 1,
    missing: 1,
  });
  t.like(tally(job("interval", { mode: "manyonce" }), nodes, [record("n1", 5, { jobId: "k" })], span), {
    due: 1,
    fired: 0,
    missing: 1,
    worstSkewMs: undefined,
  });
});
