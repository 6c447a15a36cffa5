import test from "ava";
import { check, examine } from "./check.ts";
import type { Finding, History, Run, Target, Verdict } from "./history.ts";
import { summarize } from "./summary.ts";

const tick = { job: "t/a", rule: "r1", dueMs: 60_000 };
const target: Target = { ...tick, latestMs: 65_000 };
const run: Run = { ...tick, node: "n1", execution: "e1", attempt: 1, beginMs: 60_005, endMs: 60_500, exitCode: 0 };
const verdict: Verdict = {
  ...tick,
  ...{ node: "n1", execution: "e1", attempt: 1, final: true, provisional: false, outcome: "exit:0", ran: true, exitCode: 0 },
};
const skipped: Verdict = { ...bare(verdict), outcome: "skipped:overlap", ran: false };
const lost: Verdict = { ...bare(verdict), outcome: "lost:nodeGone", provisional: true };

function bare({ exitCode: _, ...rest }: Verdict): Verdict {
  return rest;
}

function history(of: Partial<History>): History {
  return { targets: [target], runs: [run], verdicts: [verdict], exclusive: new Set(), ...of };
}

function kinds(of: Partial<History>): string[] {
  return check(history(of)).map(({ kind }) => kind);
}

test("a tick that ran and says so is fine; a finding says what, where and when", (t) => {
  t.deepEqual(kinds({}), []);
  const [finding] = check(history({ runs: [], verdicts: [] }));
  const text = "t/a: the tick of 1970-01-01T00:01:00.000Z (rule r1) has no run and no verdict";
  t.deepEqual(finding, { kind: "silent", ...tick, text } satisfies Finding);
});

test("verdicts explain a tick that did not run; without any it is silent", (t) => {
  for (const outcome of ["skipped:overlap", "missed:nodeOffline"])
    t.deepEqual(kinds({ runs: [], verdicts: [{ ...skipped, outcome }] }), []);
  t.deepEqual(kinds({ runs: [], verdicts: [lost] }), []);
  t.deepEqual(kinds({ runs: [], verdicts: [] }), ["silent"]);
  t.deepEqual(kinds({ runs: [], verdicts: [], pending: [tick] }), []);
  t.deepEqual(kinds({ runs: [], verdicts: [], targets: [{ ...target, optional: true }] }), []);
});

test("verdict and evidence say opposite things", (t) => {
  t.deepEqual(kinds({ runs: [] }), ["contradiction"]);
  t.deepEqual(kinds({ verdicts: [skipped] }), ["contradiction"]);
  t.deepEqual(kinds({ verdicts: [{ ...skipped, execution: "e2" }] }), ["contradiction", "untold"]);
});

test("truth: exit codes and ends agree; a killed run without an end is fine", (t) => {
  const { endMs: _, exitCode: __, ...cut } = run;
  t.deepEqual(kinds({ verdicts: [{ ...verdict, outcome: "exit:3", exitCode: 3 }] }), ["untrue"]);
  t.deepEqual(kinds({ runs: [cut] }), ["untrue"]);
  t.deepEqual(kinds({ verdicts: [{ ...verdict, node: "n2" }] }), ["untrue"]);
  t.deepEqual(kinds({ runs: [run, { ...run, beginMs: run.beginMs + 1, exitCode: 3 }] }), ["duplicate"], "the first is compared");
  for (const outcome of ["killed", "timeout", "signal:SIGKILL", "lockLost", "lost:supervisor"])
    t.deepEqual(kinds({ runs: [cut], verdicts: [{ ...bare(verdict), outcome }] }), [], outcome);
  t.deepEqual(kinds({ runs: [], verdicts: [{ ...bare(verdict), outcome: "killed" }] }), [], "it may not have come so far");
});

test("a provisional record is no truth, and gives way to any other", (t) => {
  t.deepEqual(kinds({ verdicts: [lost] }), ["untold"]);
  t.deepEqual(kinds({ verdicts: [lost], pending: [tick] }), [], "its node may come back");
  t.deepEqual(kinds({ verdicts: [lost, verdict] }), []);
  const other = { ...run, execution: "e2" };
  t.deepEqual(kinds({ runs: [other], verdicts: [lost, { ...verdict, execution: "e2" }] }), []);
});

test("one verdict for each tick: attempts are one, a rerun is none of its own, a range counts where nothing else does", (t) => {
  const failed: Verdict = { ...verdict, final: false, outcome: "exit:1", exitCode: 1 };
  const retried = { ...target, retries: 1 };
  const runs = [
    { ...run, exitCode: 1 },
    { ...run, attempt: 2 },
  ];
  t.deepEqual(kinds({ targets: [retried], runs, verdicts: [failed, { ...verdict, attempt: 2 }] }), []);
  t.deepEqual(kinds({ targets: [retried], runs: runs.slice(0, 1), verdicts: [failed] }), ["unfinished"]);
  t.deepEqual(kinds({ verdicts: [verdict, { ...skipped, execution: "e2", node: "n2" }] }), ["doubleVerdict"]);
  t.deepEqual(kinds({ runs: [], verdicts: [skipped, skipped] }), ["doubleVerdict"]);
  t.deepEqual(kinds({ runs: [run, { ...run, execution: "e2" }], verdicts: [verdict, { ...verdict, execution: "e2" }] }), ["duplicate"]);

  const rerun = { ...target, rerun: true };
  const second = { ...verdict, execution: "e2", attempt: 2 };
  const secondRun = { ...run, execution: "e2", attempt: 2 };
  t.deepEqual(kinds({ targets: [rerun], runs: [run, secondRun], verdicts: [verdict, second] }), []);
  t.deepEqual(kinds({ targets: [rerun], runs: [secondRun], verdicts: [{ ...lost, provisional: false }, second] }), []);
  t.deepEqual(kinds({ runs: [secondRun], verdicts: [{ ...lost, provisional: false }, second] }).sort(), ["doubleVerdict", "duplicate"]);

  const calledOff = { ...skipped, execution: "e2", attempt: 3 };
  const tried = { targets: [rerun], runs: [{ ...run, exitCode: 1 }], verdicts: [failed, { ...lost, attempt: 2, final: false }, calledOff] };
  t.deepEqual(kinds(tried), [], "the rerun of a retry that was lost did not run, the first attempt did");
  t.deepEqual(kinds({ ...tried, targets: [retried] }), ["contradiction"]);

  const range: Verdict = { ...skipped, execution: "e9", outcome: "skipped:misfireSkip", dueMs: 0, dueUntilMs: 120_000 };
  t.deepEqual(kinds({ verdicts: [range, verdict] }), []);
  t.deepEqual(kinds({ runs: [], verdicts: [range] }), []);
  t.deepEqual(kinds({ runs: [], verdicts: [range, { ...range, execution: "e8", node: "n2" }] }), ["doubleVerdict"]);
  const guess: Verdict = { ...range, execution: "e8", node: "-", outcome: "missed:unknown", provisional: true };
  t.deepEqual(kinds({ runs: [], verdicts: [range, guess] }), [], "a provisional range gives way");
  t.deepEqual(kinds({ runs: [], verdicts: [guess] }), []);
  t.deepEqual(kinds({ runs: [], verdicts: [{ ...range, dueUntilMs: 59_000 }] }), ["extra", "silent"]);
});

test("verdicts and runs of ticks that are none are extra, within the span only", (t) => {
  const other = { ...skipped, dueMs: 61_000, execution: "e2" };
  t.deepEqual(kinds({ verdicts: [verdict, other] }), ["extra"]);
  t.deepEqual(kinds({ verdicts: [verdict, other], span: { fromMs: 0, untilMs: 61_000 } }), []);
  const late = { ...run, dueMs: 61_000, execution: "e2" };
  t.deepEqual(kinds({ runs: [run, late], verdicts: [verdict, { ...verdict, dueMs: 61_000, execution: "e2" }] }), ["extra"]);
});

test("alone: no two at once, orders included, and fences grow", (t) => {
  const at = (beginMs: number, endMs: number, fence: number): Run => ({
    ...{ job: "t/a", node: `n${fence}`, execution: `x${beginMs}`, attempt: 1, ordered: true },
    ...{ beginMs, endMs, exitCode: 0, fence },
  });
  const told = (runs: readonly Run[]) =>
    runs.map(({ dueMs: _, ...each }) => ({ ...each, final: true, provisional: false, outcome: "exit:0", ran: true }));
  const alone = (runs: Run[]) => kinds({ targets: [], runs, verdicts: told(runs), exclusive: new Set(["t/a"]) });
  t.deepEqual(alone([at(0, 10, 1), at(10, 20, 2), at(25, 30, 3)]), []);
  t.deepEqual(alone([at(0, 11, 1), at(10, 20, 2)]), ["overlap"]);
  t.deepEqual(alone([at(0, 100, 1), at(10, 20, 2), at(30, 40, 3)]), ["overlap", "overlap"], "each of those within a long one");
  t.deepEqual(alone([at(0, 10, 2), at(10, 20, 1)]), ["fence"]);
  t.deepEqual(alone([at(0, 10, 2), at(10, 20, 2)]), ["fence"]);
  const skewed = [at(0, 11, 1), at(10, 20, 2)];
  t.deepEqual(kinds({ targets: [], runs: skewed, verdicts: told(skewed), exclusive: new Set(["t/a"]), skewMs: 1 }), [], "clocks differ");
});

test("the summary counts what became of the targets", (t) => {
  const at = (dueMs: number) => ({ dueMs, execution: `e${dueMs}` });
  const targets = [0, 1, 2, 3, 4, 5, 6].map((dueMs) => ({ ...target, dueMs, latestMs: dueMs + 60_005 }));
  const verdicts: Verdict[] = [
    { ...verdict, ...at(0) },
    { ...skipped, ...at(1) },
    { ...skipped, ...at(2), outcome: "missed:nodeOffline" },
    { ...lost, ...at(3) },
  ];
  const given = history({ targets, runs: [{ ...run, ...at(0) }], verdicts, pending: [{ ...tick, dueMs: 4 }] });
  const { lateness, ...rest } = summarize(examine(given));
  t.deepEqual(rest, {
    ...{ due: 7, ran: 1, skipped: { overlap: 1 }, missed: { nodeOffline: 1 }, lost: 1, pending: 1, silent: 2 },
    findings: { silent: 2 },
  });
  t.like(lateness, { count: 1, p50Ms: 60_005, p99Ms: 60_005, maxMs: 60_005 });
});

test("its cost grows with the history, not with its square", (t) => {
  const dues = Array.from({ length: 40_000 }, (_, index) => index * 1000);
  const targets = dues.map((dueMs): Target => ({ ...target, dueMs, latestMs: dueMs + 5000, retries: 4 }));
  const numbers = [1, 2, 3, 4, 5];
  const verdicts = dues.flatMap((dueMs) =>
    numbers.map((attempt): Verdict => ({ ...verdict, dueMs, execution: `e${dueMs}`, attempt, final: attempt === 5 })),
  );
  const runs = verdicts.map(({ dueMs = 0, execution, attempt }): Run => {
    const beginMs = dueMs + 10 * attempt;
    return { ...run, dueMs, execution, attempt, beginMs, endMs: beginMs + 5 };
  });
  t.deepEqual(check({ targets, runs, verdicts, exclusive: new Set(["t/a"]) }), []);
});
