import test from "ava";
import { toIso } from "fleetcron-shared/base/clock";
import type { ExecutionRecord, Outcome } from "fleetcron-shared/model/record";
import { judge } from "./verdicts.ts";

const DUE = 1_800_000_000_000;
const tick = (minute: number) => ({ rule: "r1", dueMs: DUE + minute * 60_000 });

function record(minute: number, outcome: Outcome, more: Partial<ExecutionRecord> = {}): ExecutionRecord {
  const execution = more.execution ?? `e${minute}`;
  const attempt = more.attempt ?? 1;
  return {
    ...{ v: 1, id: `${execution}-${attempt}`, execution, jobGroup: "g", jobId: "j", jobRevision: 1, attempt, finalAttempt: true },
    ...{
      nodeId: "n",
      hostname: "h",
      name: "j",
      endTime: toIso(DUE),
      success: outcome.type === "exit" && outcome.code === 0,
      isHandled: true,
    },
    ...{ ruleId: "r1", dueAt: toIso(DUE + minute * 60_000), outcome },
    ...more,
  };
}
const exit = (code: number): Outcome => ({ type: "exit", code });
const words = (ticks: number[], records: ExecutionRecord[], running: { key: string; execution: string }[] = [], nowMs = DUE + 3_600_000) =>
  judge(ticks.map(tick), records, running, nowMs).map(({ verdict, execution }) => [verdict, execution].filter(Boolean).join(" "));

test("each tick gets what its records say; without any it is fresh or untold", (t) => {
  const records = [
    record(0, exit(0)),
    record(1, exit(2)),
    record(2, { type: "missed", reason: "nodeOffline" }),
    record(3, { type: "lost", why: "nodeGone" }),
  ];
  t.deepEqual(words([0, 1, 2, 3, 4], records), ["success e0", "failure e1", "missed e2", "lost e3", "none"]);
  t.deepEqual(words([4], [], [], DUE + 4 * 60_000 + 5000), ["pending"]);
});

test("of an execution the newest attempt counts: a retry that succeeded is a success, one that is to come is running", (t) => {
  const first = record(0, exit(1), { finalAttempt: false });
  t.deepEqual(words([0], [first]), ["running e0"]);
  t.deepEqual(words([0], [first, record(0, exit(0), { attempt: 2 })]), ["success e0"]);
  t.deepEqual(words([0], [record(0, exit(1), { attempt: 2 }), first]), ["failure e0"]);
});

test("on several nodes one failure is a failure; who still runs is running", (t) => {
  const ok = record(0, exit(0), { execution: "a" });
  const bad = record(0, exit(1), { execution: "b" });
  t.deepEqual(words([0], [ok, bad]), ["failure b"]);
  t.deepEqual(judge([tick(0)], [ok, bad], [], DUE)[0]?.counts, { success: 1, failure: 1, skipped: 0, missed: 0, lost: 0 });
  t.deepEqual(words([0], [ok], [{ key: `r1 ${DUE}`, execution: "c" }]), ["running c"]);
});

test("a verdict of a range is one of each of its ticks; other rules and hosts of an execution do not count", (t) => {
  const range = record(1, { type: "skipped", reason: "misfireSkip" }, { dueUntil: toIso(DUE + 3 * 60_000), dueCount: 3 });
  t.deepEqual(words([0, 1, 2, 3, 4], [range]), ["none", "skipped e1", "skipped e1", "skipped e1", "none"]);
  t.deepEqual(words([0], [record(0, exit(1), { ruleId: "r2" }), record(0, exit(1), { partOf: "e9" })]), ["none"]);
});
