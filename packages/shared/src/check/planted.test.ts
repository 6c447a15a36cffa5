/** The checker itself on trial: histories without a fault, in which faults of every kind are planted at random. It finds all of them, and nothing else. */
import test from "ava";
import fc from "fast-check";
import { check } from "./check.ts";
import type { Finding, FindingKind, History, Run, Target, Verdict } from "./history.ts";

/** What happened at one target; a plant changes it. */
type Event = { readonly target: Target; readonly runs: readonly Run[]; readonly verdicts: readonly Verdict[] };
type Plant = {
  readonly kind: FindingKind;
  /** Of the finding: one and the same tick, but for an overlap or a fence, which is told of the tick after it. */
  readonly at?: "next";
  /** Undefined: it cannot be planted here. */
  readonly apply: (event: Event, next: Event | undefined) => Event | undefined;
};

const PERIOD_MS = 10_000;
/** Longer than the period: the windows overlap. */
const WINDOW_MS = 25_000;
const KINDS = ["interval", "alone", "common", "rerun", "retried", "unmarked"] as const;

const first = (event: Event) => event.runs[0];
const ranWell = ({ runs, verdicts }: Event) => runs.length === 1 && verdicts.length === 1 && runs[0]?.exitCode !== undefined;
const changeRun = (event: Event, change: (run: Run) => Run): Event => ({ ...event, runs: event.runs.map(change) });
const moved = (event: Event, ms: number) =>
  changeRun(event, (run) => ({ ...run, beginMs: run.beginMs + ms, endMs: (run.endMs ?? 0) + ms }));
const isMarked = ({ runs }: Event) => runs.every(({ dueMs }) => dueMs !== undefined);

const PLANTS: Readonly<Record<string, Plant>> = {
  "dropped tick": { kind: "silent", apply: (event) => ({ ...event, runs: [], verdicts: [] }) },
  "run that was only told": {
    kind: "contradiction",
    apply: (event) => (first(event)?.exitCode === undefined ? undefined : { ...event, runs: [] }),
  },
  "record that is missing": { kind: "untold", apply: (event) => (event.runs.length === 0 ? undefined : { ...event, verdicts: [] }) },
  "record that is only provisional": {
    kind: "untold",
    apply: (event) => (ranWell(event) ? { ...event, verdicts: event.verdicts.map(toLost) } : undefined),
  },
  "second execution": {
    kind: "duplicate",
    apply(event) {
      const run = first(event);
      if (run === undefined || !isMarked(event)) return undefined;
      const again = { execution: `${run.execution}-again`, attempt: 1 };
      const [verdict] = event.verdicts;
      if (verdict === undefined || event.target.rerun === true) return undefined;
      return {
        ...event,
        runs: [...event.runs, { ...run, ...again }],
        verdicts: [...event.verdicts, { ...verdict, ...again, final: true }],
      };
    },
  },
  "attempt that ran twice": {
    kind: "duplicate",
    apply(event) {
      const run = first(event);
      return run === undefined || !isMarked(event) ? undefined : { ...event, runs: [...event.runs, { ...run, beginMs: run.beginMs + 1 }] };
    },
  },
  "attempt too many": {
    kind: "duplicate",
    apply: (event) => (ranWell(event) && event.target.rerun !== true ? withAttempt(event, 2 + (event.target.retries ?? 0)) : undefined),
  },
  "run by nobody's order": {
    kind: "extra",
    apply: (event) => {
      const run = first(event);
      return run === undefined || !isMarked(event)
        ? undefined
        : { ...event, runs: [...event.runs, { ...run, dueMs: event.target.dueMs + 7, execution: `${run.execution}-nobody` }] };
    },
  },
  "delayed run": { kind: "late", apply: (event) => (ranWell(event) && isMarked(event) ? moved(event, WINDOW_MS + 1) : undefined) },
  "run before its time": { kind: "early", apply: (event) => (ranWell(event) && isMarked(event) ? moved(event, -3001) : undefined) },
  "wrong exit code": {
    kind: "untrue",
    apply: (event) => (ranWell(event) ? changeRun(event, (run) => ({ ...run, exitCode: (run.exitCode ?? 0) + 1 })) : undefined),
  },
  "end that never was": {
    kind: "untrue",
    apply: (event) =>
      first(event)?.exitCode === 0 && ranWell(event) && isMarked(event)
        ? changeRun(event, ({ endMs: _, exitCode: __, ...run }) => run)
        : undefined,
  },
  "verdict of somebody else": {
    kind: "doubleVerdict",
    apply(event) {
      const [verdict] = event.verdicts;
      if (verdict === undefined || event.target.rerun === true) return undefined;
      return { ...event, verdicts: [...event.verdicts, toSkipped({ ...verdict, execution: `${verdict.execution}-other` })] };
    },
  },
  "record that is there twice": {
    kind: "doubleVerdict",
    apply: (event) => (event.verdicts.length === 1 ? { ...event, verdicts: [...event.verdicts, ...event.verdicts] } : undefined),
  },
  "skip that ran": {
    kind: "contradiction",
    apply: (event) => (ranWell(event) ? { ...event, verdicts: event.verdicts.map(toSkipped) } : undefined),
  },
  "run into the next": {
    kind: "overlap",
    at: "next",
    apply(event, next) {
      const after = next === undefined ? undefined : first(next);
      if (!event.target.job.startsWith("t/alone") || after === undefined || !ranWell(event)) return undefined;
      return changeRun(event, (run) => ({ ...run, endMs: after.beginMs + 1 }));
    },
  },
  "fence of the future": {
    kind: "fence",
    at: "next",
    apply(event, next) {
      const after = next === undefined ? undefined : first(next);
      if (!event.target.job.startsWith("t/alone") || after?.fence === undefined || !ranWell(event)) return undefined;
      return changeRun(event, (run) => ({ ...run, fence: after.fence ?? 0 }));
    },
  },
};

function toLost({ exitCode: _, ...verdict }: Verdict): Verdict {
  return { ...verdict, outcome: "lost:nodeGone", provisional: true };
}

function toSkipped({ exitCode: _, ...verdict }: Verdict): Verdict {
  return { ...verdict, outcome: "skipped:overlap", ran: false, final: true };
}

function withAttempt(event: Event, attempt: number): Event {
  return {
    ...event,
    runs: event.runs.map((run) => ({ ...run, attempt })),
    verdicts: event.verdicts.map((verdict) => ({ ...verdict, attempt })),
  };
}

/** What the fleet did at each tick: it ran, failed, was killed, lost, skipped, missed, or lost and run again. */
const events = fc
  .array(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      count: fc.integer({ min: 3, max: 12 }),
      fates: fc.array(fc.nat(9), { minLength: 12, maxLength: 12 }),
      delays: fc.array(fc.nat(3000), { minLength: 12, maxLength: 12 }),
    }),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((jobs) =>
    jobs.map(({ kind, count, fates, delays }, index) =>
      Array.from({ length: count }, (_, k) => eventOf(kind, `t/${kind}${index}`, k, fates[k] ?? 0, delays[k] ?? 0)),
    ),
  );

function eventOf(kind: (typeof KINDS)[number], job: string, k: number, fate: number, delay: number): Event {
  const dueMs = k * PERIOD_MS;
  const execution = `${job}@${k}`;
  const about = { job, rule: "r1", dueMs };
  const target: Target = {
    ...{ ...about, latestMs: dueMs + WINDOW_MS },
    ...(kind === "common" ? { node: "n1" } : {}),
    ...(kind === "rerun" ? { rerun: true } : {}),
    ...(kind === "retried" ? { retries: 1 } : {}),
  };
  const exitCode = fate === 1 ? 3 : 0;
  const begin = dueMs + delay;
  const run: Run = { ...about, node: "n1", execution, attempt: 1, beginMs: begin, endMs: begin + 500, exitCode, fence: k * 10 + 1 };
  const verdict: Verdict = {
    ...about,
    node: "n1",
    execution,
    attempt: 1,
    final: true,
    provisional: false,
    outcome: `exit:${exitCode}`,
    ran: true,
    exitCode,
  };
  const { exitCode: _, endMs: __, ...cut } = run;
  const { exitCode: ___, ...said } = verdict;
  if (kind === "unmarked") {
    const { dueMs: ____, rule: _____, ...unmarked } = run;
    return { target, runs: [unmarked], verdicts: [verdict] };
  }
  if (kind === "retried" && fate > 4) {
    const second = { execution, attempt: 2 };
    return {
      target,
      runs: [
        { ...run, exitCode: 3 },
        { ...run, ...second, beginMs: begin + 900, endMs: begin + 950 },
      ],
      verdicts: [
        { ...verdict, final: false, outcome: "exit:3", exitCode: 3 },
        { ...verdict, ...second },
      ],
    };
  }
  if (kind === "rerun" && fate > 4) {
    const second = { execution: `${execution}-rerun`, attempt: 2, node: "n2" };
    return {
      target,
      runs: [cut, { ...run, ...second, beginMs: begin + 2000, endMs: begin + 2500 }],
      verdicts: [
        { ...said, outcome: "lost:nodeGone" },
        { ...verdict, ...second },
      ],
    };
  }
  if (fate === 2) return { target, runs: [cut], verdicts: [{ ...said, outcome: "killed" }] };
  if (fate === 3) return { target, runs: [], verdicts: [toSkipped(verdict)] };
  if (fate === 4) return { target, runs: [cut], verdicts: [{ ...said, outcome: "lost:supervisor" }] };
  return { target, runs: [run], verdicts: [verdict] };
}

function historyOf(jobs: readonly (readonly Event[])[]): History {
  const all = jobs.flat();
  return {
    targets: all.map(({ target }) => target),
    runs: all.flatMap(({ runs }) => runs),
    verdicts: all.flatMap(({ verdicts }) => verdicts),
    exclusive: new Set(all.map(({ target }) => target.job).filter((job) => job.startsWith("t/alone"))),
  };
}

const plants = fc.array(fc.record({ name: fc.constantFrom(...Object.keys(PLANTS)), job: fc.nat(4), tick: fc.nat(11) }), {
  minLength: 1,
  maxLength: 6,
});

test("nothing is found where nothing is wrong", (t) => {
  fc.assert(
    fc.property(events, (jobs) => {
      t.deepEqual(check(historyOf(jobs)), []);
    }),
    { numRuns: 200 },
  );
});

test("every planted fault is found, at its tick, and no other tick is accused", (t) => {
  const planted = new Map<string, number>();
  fc.assert(
    fc.property(events, plants, (jobs, wanted) => {
      const changed = jobs.map((job) => [...job]);
      const expected: { readonly kind: FindingKind; readonly job: string; readonly dueMs: number; readonly name: string }[] = [];
      /** Near a plant there is no other: two of them could undo each other. */
      const touched = new Set<string>();
      for (const { name, job, tick } of wanted) {
        const own = changed[job % changed.length] ?? [];
        const event = own[tick % own.length];
        const next = own[(tick % own.length) + 1];
        const plant = PLANTS[name];
        if (event === undefined || plant === undefined) continue;
        const near = [-2, -1, 0, 1, 2].map((step) => `${event.target.job} ${event.target.dueMs + step * PERIOD_MS}`);
        const faulty = near.some((place) => touched.has(place)) ? undefined : plant.apply(event, next);
        if (faulty === undefined) continue;
        own[tick % own.length] = faulty;
        touched.add(`${event.target.job} ${event.target.dueMs}`);
        const dueMs = (plant.at === "next" ? next : event)?.target.dueMs ?? 0;
        expected.push({ kind: plant.kind, job: event.target.job, dueMs, name });
        planted.set(name, (planted.get(name) ?? 0) + 1);
      }
      const findings = check(historyOf(changed));
      for (const { kind, job, dueMs, name } of expected)
        t.true(
          findings.some((one) => one.kind === kind && one.job === job && isAt(one, dueMs)),
          `${name} at ${job} ${dueMs}: ${JSON.stringify(findings)}`,
        );
      for (const one of findings)
        t.true(
          expected.some(({ job, dueMs }) => one.job === job && isNear(one, dueMs)),
          `nothing was planted there: ${one.text}`,
        );
    }),
    // The same histories each time: another thousand may have too few of the rarest fault.
    { numRuns: 1000, seed: 20261121 },
  );
  t.deepEqual(
    Object.keys(PLANTS).filter((name) => (planted.get(name) ?? 0) < 10),
    [],
    "each kind of fault was tried",
  );
});

/** A run that does not say its tick may be told at another one of its job whose window holds it. */
function isAt({ dueMs, job }: Finding, expected: number): boolean {
  return job.startsWith("t/unmarked") || dueMs === expected || dueMs === expected + 7;
}

/** A run that was moved by a window may be over another one's time. */
function isNear({ dueMs, job }: Finding, expected: number): boolean {
  return job.startsWith("t/unmarked") || (dueMs !== undefined && Math.abs(dueMs - expected) <= WINDOW_MS + PERIOD_MS);
}
