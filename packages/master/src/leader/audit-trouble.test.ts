import test from "ava";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { type MissedRange, missedRecord, rangeOfRecord, spanOf } from "fleetcron-shared/model/missed";
import { createTimetable } from "../timetable.ts";
import type { AuditRule } from "./audit-book.ts";
import { createTrouble, type HeldRange, isToldAlready, planSlots, report, type Slot } from "./audit-trouble.ts";

const T0 = "2027-01-01T00:00:00.000Z";
const START = Date.parse(T0);
const MINUTE = 60_000;
const JOB = compileJob(
  { group: "g", id: "j", revision: 1, createdAt: T0, updatedAt: T0, submittedAt: T0 },
  { run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "* * * * *" }] },
);
const [rule] = JOB.rules;
if (rule === undefined) throw new Error("no rule");
const FORM = { lastMs: Number.POSITIVE_INFINITY };
const OF: AuditRule = { job: JOB, rule, times: createTimetable("UTC").of(JOB, rule), form: FORM, graceMs: MINUTE };
const at = (minute: number) => START + minute * MINUTE;
const rangeOf = (first: number, last: number, node = "a"): MissedRange => ({
  ...{ ruleId: "r1", node, reason: "nodeOffline", firstMs: at(first), lastMs: at(last), count: last - first + 1 },
});
const held = (first: number, last: number, node = "a"): HeldRange => {
  const range = rangeOf(first, last, node);
  return { range, record: missedRecord(JOB, range, { endMs: at(last + 2), hostname: node }), revision: 7 };
};
const tick = (minute: number, node = "a") => ({ ruleId: "r1", node, reason: "nodeOffline" as const, dueMs: at(minute), of: OF });
const span = (first: number, last = first, node = "a") => ({ ruleId: "r1", node, firstMs: at(first), lastMs: at(last) });

function words(slots: readonly Slot[]): string[] {
  const of = (ms: number) => (ms - START) / MINUTE;
  return slots.map(({ held: before, range }) => {
    const then = before === undefined ? "new" : `${of(before.range.firstMs)}-${of(before.range.lastMs)}`;
    return `${then} → ${range === undefined ? "gone" : `${of(range.firstMs)}-${of(range.lastMs)} (${range.count})`}`;
  });
}

for (const [name, given, expected] of [
  ["the first", { decided: [tick(1)] }, ["new → 1-1 (1)"]],
  ["several at once", { decided: [tick(3), tick(1), tick(2)] }, ["new → 1-3 (3)"]],
  ["a gap", { decided: [tick(1), tick(3)] }, ["new → 1-1 (1)", "new → 3-3 (1)"]],
  ["two nodes", { decided: [tick(1), tick(1, "b")] }, ["new → 1-1 (1)", "new → 1-1 (1)"]],
  ["one more", { ranges: [held(1, 4)], decided: [tick(5)] }, ["1-4 → 1-5 (5)"]],
  ["not the next", { ranges: [held(1, 4)], decided: [tick(6)] }, ["new → 6-6 (1)"]],
  ["before it", { ranges: [held(4, 5)], decided: [tick(2), tick(3)] }, ["4-5 → 2-5 (4)"]],
  ["between two", { ranges: [held(1, 3), held(5, 6)], decided: [tick(4)] }, ["1-3 → 1-6 (6)", "5-6 → gone"]],
  [
    "between three",
    { ranges: [held(1, 3), held(5, 6), held(8, 9)], decided: [tick(4), tick(7)] },
    ["1-3 → 1-9 (9)", "5-6 → gone", "8-9 → gone"],
  ],
  ["a day is over", { ranges: [held(1, 1440)], decided: [tick(1441)] }, ["new → 1441-1441 (1)"]],
  ["reported in the middle", { ranges: [held(1, 9)], spans: [span(4)] }, ["1-9 → 1-3 (3)", "new → 5-9 (5)"]],
  ["reported at its ends", { ranges: [held(1, 9)], spans: [span(1), span(9)] }, ["1-9 → 2-8 (7)"]],
  ["reported as a range", { ranges: [held(1, 9)], spans: [span(3, 7)] }, ["1-9 → 1-2 (2)", "new → 8-9 (2)"]],
  ["reported all of it", { ranges: [held(1, 9)], spans: [span(0, 20)] }, ["1-9 → gone"]],
  ["reported one by one", { ranges: [held(1, 3)], spans: [span(1), span(2), span(3)] }, ["1-3 → gone"]],
  ["reported by another node", { ranges: [held(1, 9)], spans: [span(1, 9, "b")] }, []],
  ["of no node, reported by any", { ranges: [held(1, 9, "-")], spans: [span(1, 9, "b")] }, ["1-9 → gone"]],
  ["cut and longer", { ranges: [held(1, 9)], spans: [span(4)], decided: [tick(10)] }, ["1-9 → 1-3 (3)", "new → 5-10 (6)"]],
] as const satisfies readonly (readonly [string, object, readonly string[]])[]) {
  test(`verdicts of missed ticks: ${name}`, (t) => {
    const trouble = createTrouble("g/j");
    Object.assign(trouble, { ranges: [], ...given, spans: [] });
    if ("spans" in given) report(trouble, given.spans);
    t.deepEqual(words(planSlots(trouble, () => OF.times)), [...expected]);
  });
}

test("the job has been changed since: the parts begin and end with ticks, as far as these are even", (t) => {
  const cutBy = (...spans: ReturnType<typeof span>[]) => {
    const trouble = createTrouble("g/j");
    trouble.ranges = [held(1, 9)];
    report(trouble, spans);
    return words(planSlots(trouble, () => undefined));
  };
  t.deepEqual(cutBy(span(4)), ["1-9 → 1-3 (3)", "new → 5-9 (5)"]);
  t.deepEqual(cutBy(span(3.1, 5.9)), ["1-9 → 1-3 (3)", "new → 6-9 (4)"]);
  t.deepEqual(cutBy(span(1)), ["1-9 → 2-9 (8)"]);
  t.deepEqual(cutBy(span(8, 20)), ["1-9 → 1-7 (7)"]);
});

test("what goes on from a range that somebody was told of is no news", (t) => {
  const trouble = createTrouble("g/j");
  trouble.ranges = [held(1, 1440)];
  t.true(isToldAlready(trouble, rangeOf(1441, 1441), OF));
  t.false(isToldAlready(trouble, rangeOf(1442, 1442), OF), "one in between was reported");
  t.false(isToldAlready(trouble, rangeOf(1441, 1441, "b"), OF), "another node");
  trouble.ranges = [];
  t.false(isToldAlready(trouble, rangeOf(1441, 1441), OF));
  trouble.told.set("r1 a nodeOffline", at(1440));
  t.true(isToldAlready(trouble, rangeOf(1441, 1441), OF), "its record has gone by retention");
});

test("a tick that is reported is decided on no more", (t) => {
  const trouble = createTrouble("g/j");
  trouble.ranges = [];
  trouble.decided = [tick(1), tick(2), tick(2, "b")];
  report(trouble, [span(2)]);
  t.deepEqual(
    trouble.decided.map(({ dueMs, node }) => `${(dueMs - START) / MINUTE}${node}`),
    ["1a", "2b"],
  );
});

test("a record tells its range, and the same range makes the same record", (t) => {
  const range = rangeOf(3, 8);
  const record = missedRecord(JOB, range, { endMs: at(10), hostname: "a" });
  t.deepEqual(rangeOfRecord(record), range);
  t.deepEqual(spanOf(record), { ruleId: "r1", node: "a", firstMs: at(3), lastMs: at(8) });
  t.is(missedRecord(JOB, { ...range, lastMs: at(20) }, { endMs: at(22), hostname: "a" }).id, record.id);
  t.is(rangeOfRecord({ ...record, dueCount: 0 }), undefined);
  t.is(spanOf({ ...record, dueCount: 0 }), undefined);
});
