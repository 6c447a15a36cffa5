import test from "ava";
import { instantsOf, ruleScheduleInput } from "../model/calendar/rule-schedule.ts";
import { compileSchedule } from "../model/calendar/schedule.ts";
import type { Job, Rule } from "../model/job.ts";
import { compileJob } from "../model/job-compile.ts";
import type { JobSpec } from "../model/job-spec.ts";
import { type JobForm, targetsOf } from "./targets.ts";

const START = Date.parse("2026-11-21T10:00:00Z");
const MINUTE = 60_000;

function job(spec: Partial<JobSpec>): Job {
  const at = new Date(START - 3_600_000).toISOString();
  const meta = { group: "t", id: "a", revision: 1, createdAt: at, updatedAt: at, submittedAt: at };
  return compileJob(meta, { run: { command: { argv: ["true"] } }, rules: [{ mode: "cycle", timer: "* * * * *" }], ...spec });
}

const ticksOf = (of: Job, rule: Rule) => instantsOf(rule, compileSchedule(ruleScheduleInput(of, rule, rule.timer ?? "", "UTC")));

function targets(forms: readonly Partial<JobForm<Job>>[], more: { unsettledMs?: number } = {}) {
  const whole = forms.map((form) => ({ job: job({}), fromMs: START, untilMs: START + 5 * MINUTE, ...form }));
  return targetsOf(whole, { fromMs: START, untilMs: START + 5 * MINUTE, ticksOf, nodesOf: () => ["n1", "n2"], lateAfterMs: 5000, ...more });
}

const minutes = (of: ReturnType<typeof targets>) => of.map(({ dueMs }) => (dueMs - START) / MINUTE);

test("one for each tick of an interval job, from the begin on, without the end", (t) => {
  const found = targets([{ job: job({ kind: "interval" }) }]);
  t.deepEqual(minutes(found), [0, 1, 2, 3, 4]);
  t.deepEqual(found[0], { job: "t/a", rule: "r1", dueMs: START, latestMs: START + 5000 });
});

test("on each node of a common job; with retries, jitter and reruns as the job says", (t) => {
  t.deepEqual(
    targets([{}])
      .slice(0, 3)
      .map(({ dueMs, node }) => [dueMs - START, node]),
    [
      [0, "n1"],
      [0, "n2"],
      [MINUTE, "n1"],
    ],
  );
  const rules: JobSpec["rules"] = [{ mode: "cycle", timer: "* * * * *", jitter: "10s" }];
  const [first] = targets([{ job: job({ kind: "interval", onNodeLost: "rerun", retry: { limit: 2 }, rules }) }]);
  t.like(first, { latestMs: START + 15_000, retries: 2, rerun: true });
});

test("no targets while paused, and none of rules without a timer of instants", (t) => {
  t.deepEqual(targets([{ job: job({ pause: true }) }]), []);
  t.deepEqual(targets([{ job: job({ rules: [{ mode: "onlyonce" }, { mode: "manyonce" }, { mode: "cycle", timer: "@startup" }] }) }]), []);
});

test("forms follow each other; around a change a tick is optional, unless a form has it for sure", (t) => {
  const change = START + 2 * MINUTE + 1000;
  const odd = job({ kind: "interval", rules: [{ mode: "cycle", timer: "1-59/2 * * * *" }] });
  const forms = [
    { job: job({ kind: "interval" }), untilMs: change },
    { job: odd, fromMs: change },
  ];
  t.deepEqual(minutes(targets(forms)), [0, 1, 2, 3]);
  const unsettled = targets(forms, { unsettledMs: MINUTE });
  t.deepEqual(minutes(unsettled), [0, 1, 2, 3]);
  t.deepEqual(
    unsettled.map(({ optional }) => optional),
    [undefined, undefined, true, true],
  );
});
