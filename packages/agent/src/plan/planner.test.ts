import test from "ava";
import type { Dispatch } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { Planner, type PlannerOptions, type RuleState } from "./planner.ts";
import { Schedules } from "./schedules.ts";

const T0 = Date.parse("2026-01-01T00:00:00.000Z");
const iso = (ms: number) => new Date(ms).toISOString();

function bench(options: Partial<PlannerOptions> = {}) {
  const states = new Map<string, RuleState>();
  const planner = new Planner(
    { schedules: new Schedules(() => "UTC"), states },
    { nodeId: "n1", bootId: "b1", nodeCreatedMs: T0, startedMs: T0, lastPlannedMs: undefined, ...options },
  );
  const put = (
    spec: Partial<JobSpec>,
    more: { nowMs?: number; catchUp?: boolean; revision?: number; submittedMs?: number; updatedMs?: number; createdMs?: number } = {},
  ) => {
    const full: JobSpec = { run: { command: { script: "true" } }, rules: [{ mode: "cycle", timer: "* * * * * *" }], ...spec };
    const createdMs = more.createdMs ?? T0;
    const dispatch: Dispatch = {
      v: 1,
      group: "g",
      id: "j",
      revision: more.revision ?? 1,
      createdAt: iso(createdMs),
      updatedAt: iso(more.updatedMs ?? createdMs),
      submittedAt: iso(more.submittedMs ?? createdMs),
      spec: full,
      rules: Object.fromEntries(full.rules.map((_, index) => [`r${index + 1}`, []])),
    };
    planner.put("/f/dispatch/n1/g/j", JSON.stringify(dispatch), more.nowMs ?? T0, more.catchUp ?? false);
  };
  const fired = (nowMs: number) => planner.takeDue(nowMs, 1000).flatMap((due) => due.fire.map((ms) => (ms - T0) / 1000));
  return { planner, states, put, fired };
}

test("a new job never fires for time before it came", (t) => {
  const { put, fired } = bench();
  put({}, { nowMs: T0 + 500 });
  t.deepEqual(fired(T0 + 999), []);
  t.deepEqual(fired(T0 + 2500), [1, 2]);
});

test("an edit drops the old form's next ticks and fires nothing retroactively", (t) => {
  const { put, fired } = bench();
  put({});
  t.deepEqual(fired(T0 + 1000), [1]);
  put({ rules: [{ mode: "cycle", timer: "*/5 * * * * *" }] }, { nowMs: T0 + 6500, revision: 2 });
  t.deepEqual(fired(T0 + 9999), []);
  t.deepEqual(fired(T0 + 10_000), [10]);
});

test("paused and removed jobs do not fire; resuming starts from now", (t) => {
  const { put, fired, planner } = bench();
  put({ pause: true });
  t.deepEqual(fired(T0 + 5000), []);
  put({ pause: false }, { nowMs: T0 + 5500, revision: 2 });
  t.deepEqual(fired(T0 + 6000), [6]);
  planner.remove("g/j");
  t.deepEqual(fired(T0 + 9000), []);
  t.is(planner.nextAtMs(), undefined);
});

test("a clock that steps back fires no tick twice", (t) => {
  const { put, fired } = bench();
  put({});
  t.deepEqual(fired(T0 + 3000), [1, 2, 3]);
  t.deepEqual(fired(T0 + 1000), []);
  t.deepEqual(fired(T0 + 4000), [4]);
});

test("after a restart the journal's memory gives misfires, not repetitions", (t) => {
  const { put, fired, states } = bench({ startedMs: T0 + 60_000, lastPlannedMs: T0 + 10_000 });
  states.set("g/j/r1", { jobCreatedMs: T0, handledMs: T0 + 12_000, succeeded: false, bootId: undefined });
  put({ misfire: "all" }, { nowMs: T0 + 60_000, catchUp: true });
  t.is(fired(T0 + 60_000)[0], 13);
});

test("after a restart misfire: once fires only the newest, also when it is young", (t) => {
  const { put, planner } = bench({ startedMs: T0 + 20_000, lastPlannedMs: T0 + 15_000 });
  put({}, { nowMs: T0 + 20_000, catchUp: true });
  const [due] = planner.takeDue(T0 + 20_000, 10);
  t.deepEqual(due?.fire, [T0 + 20_000]);
  t.is(due?.skipped?.count, 4);
});

test("a node's very first start fires nothing of the past", (t) => {
  const { put, fired } = bench({ startedMs: T0 + 60_000, nodeCreatedMs: T0 + 60_000 });
  put({}, { nowMs: T0 + 60_100, catchUp: true });
  t.deepEqual(fired(T0 + 60_500), []);
  t.deepEqual(fired(T0 + 61_000), [61]);
});

test("a job that was deleted and made again starts afresh", (t) => {
  const { put, fired, states } = bench();
  states.set("g/j/r1", { jobCreatedMs: T0 - 5, handledMs: T0 + 500_000, succeeded: true, bootId: undefined });
  put({ rules: [{ mode: "onlyonce" }] });
  t.deepEqual(fired(T0), [0]);
});

test("onlyonce: until it has succeeded; a new submission runs it again only if it has not", (t) => {
  const { put, fired, planner } = bench();
  put({ rules: [{ mode: "onlyonce" }] });
  t.deepEqual(fired(T0), [0]);
  put({ rules: [{ mode: "onlyonce" }] }, { revision: 2 });
  t.deepEqual(fired(T0 + 1000), []);
  put({ rules: [{ mode: "onlyonce" }] }, { revision: 3, submittedMs: T0 + 2000, nowMs: T0 + 2000 });
  t.deepEqual(fired(T0 + 2000), [2]);
  planner.succeeded({ key: "g/j", createdAtMs: T0 }, "r1");
  put({ rules: [{ mode: "onlyonce" }] }, { revision: 4, submittedMs: T0 + 3000, nowMs: T0 + 3000 });
  t.deepEqual(fired(T0 + 3000), []);
  planner.reset("g/j", T0 + 4000);
  t.deepEqual(fired(T0 + 4000), [3]);
});

test("manyonce: once per submission, not for nodes that came later, not when it is too old", (t) => {
  const rules = [{ mode: "manyonce" as const }];
  const first = bench();
  first.put({ rules });
  t.deepEqual(first.fired(T0), [0]);
  first.put({ rules, pause: false }, { revision: 2, nowMs: T0 + 1000 });
  t.deepEqual(first.fired(T0 + 1000), []);

  const later = bench({ nodeCreatedMs: T0 + 60_000 });
  later.put({ rules }, { nowMs: T0 + 60_000 });
  t.deepEqual(later.fired(T0 + 60_000), []);

  const old = bench({ startedMs: T0 + 7_200_000 });
  old.put({ rules }, { nowMs: T0 + 7_200_000, catchUp: true });
  t.is(old.planner.takeDue(T0 + 7_200_000, 1)[0]?.missed?.count, 1);
});

test("@startup: once per boot, when the agent starts, not when the job is made", (t) => {
  const rules = [{ mode: "cycle" as const, timer: "@startup" }];
  const { put, fired, states, planner } = bench();
  put({ rules });
  t.deepEqual(fired(T0 + 1000), []);
  planner.remove("g/j");
  put({ rules }, { catchUp: true });
  t.deepEqual(fired(T0 + 1000), [], "already counted for this boot");
  states.clear();
  put({ rules }, { catchUp: true });
  t.deepEqual(fired(T0 + 1000), [0]);
});

test("a tick that its jitter still held back when the agent was restarted is not forgotten", (t) => {
  const rules = [{ mode: "cycle" as const, timer: "0 * * * *", jitter: "10m" }];
  const first = bench();
  first.put({ rules });
  const fires = (first.planner.nextAtMs() ?? 0) - T0;
  t.true(fires > 3_600_000 + 1000, "this job has a jitter");
  const again = bench({ startedMs: T0 + fires - 500, lastPlannedMs: T0 + fires - 1000 });
  again.put({ rules }, { nowMs: T0 + fires - 500, catchUp: true });
  t.deepEqual(again.fired(T0 + fires), [3600]);
});

test("a clock that was far ahead and is set right: ticks are due again, also after a restart", (t) => {
  const { put, fired, states } = bench();
  put({});
  t.deepEqual(fired(T0 + 400 * 86_400_000).length, 1);
  t.deepEqual(fired(T0 + 5500), []);
  t.deepEqual(fired(T0 + 6000), [6]);

  const again = bench({ startedMs: T0 + 7500, lastPlannedMs: T0 + 400 * 86_400_000 });
  for (const [key, state] of states) again.states.set(key, { ...state, handledMs: T0 + 400 * 86_400_000 });
  again.put({}, { nowMs: T0 + 7500, catchUp: true });
  t.deepEqual(again.fired(T0 + 8000), [8]);
});

test("onlyonce of a cluster-wide job is not for nodes that come later, nor for one that was away too long", (t) => {
  const spec = { kind: "interval" as const, rules: [{ mode: "onlyonce" as const }] };
  const later = bench({ nodeCreatedMs: T0 + 60_000 });
  later.put(spec, { nowMs: T0 + 60_000 });
  t.deepEqual(later.fired(T0 + 60_000), []);
  const away = bench({ startedMs: T0 + 7_200_000 });
  away.put(spec, { nowMs: T0 + 7_200_000, catchUp: true });
  t.deepEqual(away.fired(T0 + 7_200_000), []);
});
