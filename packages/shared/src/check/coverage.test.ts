/** The vectors of Jepsen's checker for Chronos, in spirit: runs do not know their ticks, windows are [due, due + epsilon]. */
import test from "ava";
import { coverage } from "./coverage.ts";
import type { Run, Target } from "./history.ts";

const JOB = { job: "t/chronos", rule: "r1" };
const always = () => true;

/** Ticks every 10 s from 0, a window of 5 s, as far as they are over at `readMs`. */
function dueBy(readMs: number): Target[] {
  const dues = Array.from({ length: 100 }, (_, k) => k * 10_000).filter((dueMs) => dueMs < readMs - 5000);
  return dues.map((dueMs) => ({ ...JOB, dueMs, latestMs: dueMs + 5000 }));
}

function run(beginMs: number, more: Partial<Run> = {}): Run {
  return { job: JOB.job, node: "n1", execution: `e${beginMs}`, attempt: 1, beginMs, endMs: beginMs + 100, exitCode: 0, ...more };
}

function judge(targets: readonly Target[], runs: readonly Run[]) {
  const { ranBy, findings, delaysMs } = coverage({ targets, runs, isInSpan: always });
  return {
    holes: targets.filter((_, at) => !ranBy.has(at)).map(({ dueMs }) => dueMs),
    findings: findings.map(({ kind }) => kind),
    delaysMs,
  };
}

test("a late read: three targets, three runs", (t) => {
  t.deepEqual(judge(dueBy(26_000), [run(1000), run(10_000), run(24_000)]), { holes: [], findings: [], delaysMs: [1000, 0, 4000] });
});

test("a premature read: one target is due, and it ran", (t) => {
  const targets = dueBy(11_000);
  t.is(targets.length, 1);
  t.deepEqual(judge(targets, [run(1000)]), { holes: [], findings: [], delaysMs: [1000] });
});

test("four runs, one of them outside every window: the targets are covered, one run is extra", (t) => {
  const { holes, findings } = judge(dueBy(26_000), [run(1000), run(10_000), run(17_000), run(24_000)]);
  t.deepEqual({ holes, findings }, { holes: [], findings: ["extra"] });
});

test("a hole in the middle is told, and it is the right one", (t) => {
  t.deepEqual(judge(dueBy(26_000), [run(1000), run(24_000)]).holes, [10_000]);
});

test("a run that did not come to its end is ignored", (t) => {
  const { holes, findings } = judge(dueBy(26_000), [run(1000), { ...run(10_000), endMs: undefined } as unknown as Run, run(24_000)]);
  t.deepEqual({ holes, findings }, { holes: [10_000], findings: [] });
});

test("where windows overlap, runs are shared out so that all targets have one", (t) => {
  const targets = [0, 1000, 2000].map((dueMs) => ({ ...JOB, dueMs, latestMs: dueMs + 1500 }));
  // The first two begin where both windows hold them; taken in the wrong order one target would stay empty.
  t.deepEqual(judge(targets, [run(1200), run(1300), run(3400)]).holes, []);
  t.deepEqual(judge(targets, [run(1600), run(2400), run(3400)]).holes, [0]);
});

test("a run that knows its tick is of no other, however well its begin would fit", (t) => {
  const targets = dueBy(26_000);
  const known = (beginMs: number, dueMs: number) => run(beginMs, { dueMs, rule: "r1" });
  t.deepEqual(judge(targets, [known(0, 0), known(20_000, 10_000), known(20_001, 20_000)]), {
    holes: [],
    findings: ["late"],
    delaysMs: [0, 10_000, 1],
  });
  t.deepEqual(judge(targets, [known(0, 0), known(100, 0), known(20_000, 20_000)]), {
    holes: [10_000],
    findings: ["duplicate"],
    delaysMs: [0, 0],
  });
});

test("on each node its own, and rules of one instant each their own", (t) => {
  const targets = ["n1", "n2"].map((node) => ({ ...JOB, node, dueMs: 0, latestMs: 1000 }));
  const on = (node: string) => run(1, { dueMs: 0, node, execution: `on-${node}` });
  t.deepEqual(judge(targets, [on("n1"), on("n2")]).findings, []);
  t.deepEqual(judge(targets, [on("n1"), on("n3")]).findings, ["extra"]);
  const rules = ["a", "b"].map((rule) => ({ job: JOB.job, rule, dueMs: 0, latestMs: 1000 }));
  t.deepEqual(judge(rules, [run(1, { dueMs: 0 }), run(2, { dueMs: 0, rule: "a" })]), { holes: [], findings: [], delaysMs: [1, 2] });
});

test("attempts: retries go on in one execution, a rerun in another; not more than allowed, and none twice", (t) => {
  const one = (more: Partial<Target> = {}): Target[] => [{ ...JOB, dueMs: 0, latestMs: 1000, ...more }];
  const attempt = (number: number, more: Partial<Run> = {}) => run(number * 100, { dueMs: 0, execution: "x", attempt: number, ...more });
  t.deepEqual(judge(one({ retries: 1 }), [attempt(1), attempt(2)]).findings, []);
  t.deepEqual(judge(one(), [attempt(1), attempt(2)]).findings, ["duplicate"]);
  t.deepEqual(judge(one({ retries: 1 }), [attempt(1), attempt(1), attempt(2)]).findings, ["duplicate"]);
  const rerun = attempt(2, { execution: "y" });
  t.deepEqual(judge(one({ rerun: true }), [attempt(1), rerun]).findings, []);
  t.deepEqual(judge(one(), [attempt(1), rerun]).findings, ["duplicate"]);
  t.deepEqual(judge(one({ rerun: true }), [attempt(1), attempt(1, { execution: "y" })]).findings, ["duplicate"]);
});

test("orders take no tick, and what lies outside the span is not judged", (t) => {
  t.deepEqual(judge([], [run(0, { ordered: true })]).findings, []);
  t.deepEqual(coverage({ targets: [], runs: [run(0, { dueMs: 0 })], isInSpan: () => false }).findings, []);
  t.deepEqual(judge([], [run(0, { dueMs: 0 })]).findings, ["extra"]);
});
