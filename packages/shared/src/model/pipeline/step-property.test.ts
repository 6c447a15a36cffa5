/** Whatever pipeline it is and whatever happens in whatever order, twice or late: what must always hold holds, and the run comes to its end. */
import test from "ava";
import fc from "fast-check";
import { isCode } from "../../base/errors.ts";
import type { Effect } from "./draft.ts";
import { ancestorsOf } from "./graph.ts";
import { checkPipeline } from "./pipeline-check.ts";
import type { PipelineSpec, TaskSpec } from "./pipeline-spec.ts";
import { makePlan, type RunPlan } from "./plan.ts";
import { isLive, isRunEnd, isTaskEnd, newRun, nextDeadline, type RunDocument } from "./run-document.ts";
import { type RunEvent, step } from "./step.ts";

const T0 = Date.UTC(2027, 0, 1);
const job = { run: { command: { script: "true" } } };

const flags = fc.record(
  {
    skip: fc.constant(true),
    ignoreFailed: fc.boolean(),
    dryRun: fc.constant(true),
    audit: fc.constant({ auditors: ["ann"] }),
    confirm: fc.constant({ checkers: ["ann"] }),
    retry: fc.record({ limit: fc.nat(2), delay: fc.constantFrom("0", "1m") }),
    timeout: fc.constant("5m"),
    forEachNode: fc.boolean(),
    manualStatus: fc.constant(true),
    when: fc.constantFrom<Record<string, string>>({ OUT: "*" }, { OUT: "!*" }),
  },
  { requiredKeys: [] },
);
/** Most tasks have few of them. */
const someFlags = flags.chain((all) =>
  fc.subarray(Object.entries(all), { maxLength: Math.min(2, Object.keys(all).length) }).map((some) => Object.fromEntries(some)),
);

const names = (prefix: string, some: readonly Partial<TaskSpec>[]) =>
  some.map((more, i): TaskSpec => ({ name: `${prefix}${i}`, job, ...more }));
const graph = fc.array(fc.tuple(someFlags, fc.array(fc.nat(9), { maxLength: 3 })), { minLength: 1, maxLength: 7 }).map(
  (nodes): Partial<PipelineSpec> => ({
    tasks: names(
      "t",
      nodes.map(([more, needs], i) => {
        const before = [...new Set(needs.filter((need) => need < i))].map((need) => `t${need}`);
        return { ...more, ...(before.length === 0 ? {} : { needs: before }) };
      }),
    ),
  }),
);
const stages = fc.array(fc.tuple(fc.boolean(), fc.array(someFlags, { minLength: 1, maxLength: 3 })), { minLength: 1, maxLength: 4 }).map(
  (some): Partial<PipelineSpec> => ({
    stages: some.map(([parallel, tasks], i) => ({ name: `s${i}`, parallel, tasks: names(`s${i}t`, tasks) })),
  }),
);
const pipeline = fc
  .tuple(
    fc.oneof(graph, stages),
    fc.array(someFlags, { maxLength: 2 }),
    fc.constantFrom("stop" as const, "failFast" as const),
    fc.constantFrom("0", "30m"),
  )
  .map(
    ([body, last, onFailure, timeout]): PipelineSpec => ({
      ...body,
      onFailure,
      timeout,
      ...(last.length === 0 ? {} : { finally: names("f", last) }),
    }),
  )
  .filter((spec) => checkPipeline("g", "p", spec).length === 0);

function planOf(spec: PipelineSpec): RunPlan {
  const made = makePlan({
    ...{ run: "r", group: "g", id: "p", revision: 1, updatedAt: new Date(T0).toISOString(), spec, values: {}, labels: {} },
    ...{ jobOf: () => undefined, jobKeys: () => [] },
  });
  if (!("plan" in made)) throw new Error(JSON.stringify(made.issues));
  return made.plan;
}

/** Everything that could sensibly happen now. */
function possible(plan: RunPlan, run: RunDocument, nowMs: number): RunEvent[] {
  const events: RunEvent[] = [];
  const until = nextDeadline(run);
  if (run.state === "queued") events.push({ type: "start", nowMs });
  if (until !== undefined) events.push({ type: "tick", nowMs: Math.max(nowMs, Date.parse(until)) });
  for (const planned of plan.tasks) {
    const { name } = planned;
    const { attempt, state, instances = [], wait, onlyNodes } = run.tasks[name] ?? { attempt: 0, state: "pending" };
    if (wait?.for === "node") {
      const nodes = onlyNodes ?? (planned.forEachNode === true ? ["n1", "n2", "n3"] : ["n1"]);
      events.push({
        type: "placed",
        nowMs,
        task: name,
        attempt,
        instances: nodes.map((node) => ({ node, execution: `${name}-${attempt}-${node}` })),
      });
    }
    if (state === "waitingAudit")
      for (const verdict of ["yes", "no"] as const)
        events.push({ type: "decide", kind: "audit", nowMs, task: name, verdict, by: "ann", comment: "c" });
    if (state === "waitingConfirm")
      for (const verdict of ["yes", "no"] as const)
        events.push({ type: "decide", kind: "confirm", nowMs, task: name, verdict, by: "ann", comment: "c" });
    if (wait?.for === "status")
      for (const state of ["active", "succeeded", "failed"] as const)
        events.push({ type: "status", nowMs, task: name, attempt, state, message: "" });
    for (const { execution, state } of instances) {
      if (state === "planned") events.push({ type: "ordered", nowMs, task: name, attempt, executions: [execution] });
      else if (isLive(state)) {
        events.push({ type: "started", nowMs, task: name, attempt, execution });
        for (const success of [true, true, false])
          events.push({
            type: "ended",
            nowMs,
            task: name,
            attempt,
            execution,
            success,
            ran: true,
            message: "m",
            outputs: success ? { OUT: "1" } : {},
          });
      }
    }
  }
  return events;
}

type World = { readonly plan: RunPlan; run: RunDocument; nowMs: number; readonly orders: string[]; cancelledTwice: boolean; ends: number };

/** Applies an event, and looks at all that must hold. Refusals are allowed; faults are not. */
function happen(world: World, event: RunEvent): void {
  const { plan, run: before } = world;
  let effects: readonly Effect[] = [];
  try {
    const done = step(plan, before, event);
    world.run = done.run;
    effects = done.effects;
  } catch (error) {
    if (!isCode(error, "pipeline/not-now", "pipeline/decided")) throw error;
  }
  const { run } = world;
  world.nowMs = Math.max(world.nowMs, event.nowMs);
  const check = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`${what}, after ${JSON.stringify(event)}: ${JSON.stringify(run.tasks)}`);
  };
  if (event.type === "cancel" && before.state === "active" && (before.cancel !== undefined || before.part === "finally"))
    world.cancelledTwice = true;
  for (const [name, task] of Object.entries(run.tasks)) {
    const was = before.tasks[name];
    check(was !== undefined && task.attempt >= was.attempt, `attempts of ${name} only grow`);
    if (was !== undefined && isTaskEnd(was.state) && event.type !== "rerun")
      check(task.state === was.state, `the end of ${name} is its end`);
    if (was !== undefined && task.attempt === was.attempt && was.state === "pending" && task.state === "scheduling") {
      const index = plan.tasks.findIndex((one) => one.name === name);
      const isBefore = ancestorsOf(plan.tasks, index);
      check(
        plan.tasks.every((other, at) => !isBefore(at) || isTaskEnd(run.tasks[other.name]?.state ?? "pending")),
        `${name} begins after all that it needs`,
      );
    }
    check(
      !isTaskEnd(task.state) || (task.instances ?? []).every(({ state }) => !isLive(state)),
      `nothing of ${name} is live after its end`,
    );
  }
  for (const effect of effects) {
    if (effect.type === "order") {
      check(!world.orders.includes(effect.execution), `${effect.execution} is ordered once`);
      check(plan.tasks.find(({ name }) => name === effect.task)?.dryRun !== true, "a dry run starts nothing");
      world.orders.push(effect.execution);
    }
    if (effect.type === "run" && isRunEnd(effect.to)) world.ends += 1;
  }
  const states = Object.values(run.tasks).map(({ state }) => state);
  if (isRunEnd(run.state)) check(states.every(isTaskEnd), "all tasks have ended when the run has");
  else if (run.state === "active") {
    check(
      states.some((state) => state !== "pending" && !isTaskEnd(state)),
      "an active run waits for something",
    );
    check(
      plan.tasks.every(({ name, part }) => part === "main" || run.part === "finally" || run.tasks[name]?.state === "pending"),
      "finally begins last",
    );
  }
  check(world.ends <= run.attempt, "a run ends once per attempt");
  // A second cancel means the tasks of finally; a tick looks at the deadlines that are there by now.
  const isFact = event.type !== "rerun" && event.type !== "cancel" && event.type !== "tick";
  const again = isFact ? repeat(plan, run, event) : run;
  check(again === undefined || again === run, "the same event again changes nothing");
}

function repeat(plan: RunPlan, run: RunDocument, event: RunEvent): RunDocument | undefined {
  try {
    return step(plan, run, event).run;
  } catch {
    return undefined;
  }
}

test("random pipelines and events keep the invariants, and every run can be brought to its end", (t) => {
  fc.assert(
    fc.property(pipeline, fc.array(fc.tuple(fc.nat(), fc.nat(19)), { maxLength: 60 }), fc.boolean(), (spec, moves, cancelAtEnd) => {
      const plan = planOf(spec);
      const world: World = {
        plan,
        run: newRun(plan, { by: "ann", trigger: "manual", at: new Date(T0).toISOString() }),
        nowMs: T0,
        orders: [],
        cancelledTwice: false,
        ends: 0,
      };
      const past: RunEvent[] = [];
      for (const [pick, kind] of moves) {
        const { run, nowMs } = world;
        const options = possible(plan, run, nowMs);
        let event = options[pick % Math.max(1, options.length)];
        if (kind === 0) event = { type: "cancel", by: "ann", reason: "", nowMs };
        else if (kind === 1)
          event = { type: "rerun", by: "ann", nowMs, from: pick % 2 === 0 ? undefined : plan.tasks[pick % plan.tasks.length]?.name };
        else if (kind < 5) event = past[pick % Math.max(1, past.length)];
        if (event === undefined) continue;
        past.push(event);
        happen(world, { ...event, nowMs: Math.max(event.nowMs, nowMs) });
      }
      // From here on all goes well: at most so many things can be left.
      const goesWell = (event: RunEvent) =>
        !(event.type === "ended" && !event.success) && !(event.type === "decide" && event.verdict === "no") && event.type !== "tick";
      if (cancelAtEnd && !isRunEnd(world.run.state)) happen(world, { type: "cancel", by: "ann", reason: "", nowMs: world.nowMs });
      for (let i = 0; i < 300 && !isRunEnd(world.run.state); i++) {
        const options = possible(plan, world.run, world.nowMs);
        const event =
          options.filter((one) => goesWell(one) && step(plan, world.run, one).run !== world.run).at(-1) ??
          options.find(({ type }) => type === "tick");
        if (event === undefined) break;
        happen(world, event);
      }
      const { run } = world;
      if (!isRunEnd(run.state)) throw new Error(`stuck: ${JSON.stringify(run)}`);
      const lasts = plan.tasks.filter(({ part }) => part === "finally");
      if (!world.cancelledTwice && run.startedAt !== undefined && lasts.some(({ name }) => run.tasks[name]?.state === "cancelled"))
        throw new Error(`finally did not run: ${JSON.stringify(run)}`);
    }),
    { numRuns: 3000, includeErrorInReport: true },
  );
  t.pass();
});
