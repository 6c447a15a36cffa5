/**
 * A run under change: the only way in which its states move, each along an edge of the tables, and what else must happen (effects). A draft lives for one step.
 */
import { type EpochMs, toIso } from "../../base/clock.ts";
import { parseDuration } from "../../base/duration.ts";
import { AppError } from "../../base/errors.ts";
import { JOB_DEFAULTS } from "../job-compile.ts";
import type { PlanTask, RunPlan } from "./plan.ts";
import {
  type Instance,
  type InstanceState,
  isLive,
  isTaskEnd,
  type PastAttempt,
  RUN_AGAIN,
  RUN_EDGES,
  type RunDocument,
  type RunState,
  TASK_AGAIN,
  TASK_EDGES,
  type TaskRun,
  type TaskState,
  taskOf,
} from "./run-document.ts";

/** What the caller does in the transaction that stores the run. */
export type Effect =
  | { readonly type: "order"; readonly task: string; readonly attempt: number; readonly node: string; readonly execution: string }
  | {
      readonly type: "kill";
      readonly task: string;
      readonly attempt: number;
      readonly node: string;
      readonly execution: string;
      readonly reason: string;
    }
  /** A change of state, for whoever is told of it. */
  | { readonly type: "task"; readonly task: string; readonly attempt: number; readonly from: TaskState; readonly to: TaskState }
  | { readonly type: "run"; readonly from: RunState; readonly to: RunState };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type Draft = {
  readonly plan: RunPlan;
  readonly run: Mutable<RunDocument> & { tasks: Record<string, TaskRun> };
  readonly nowMs: EpochMs;
  readonly now: string;
  readonly effects: Effect[];
};

/** After a kill was sent and the job's own grace is over, the node's answer is waited for so long. */
export const STOP_ANSWER_MS = 60_000;
/** Attempts that are remembered, over all tasks of a run: the document stays small. */
const REMEMBERED_ATTEMPTS = 1000;
const REMEMBERED_A_TASK = 20;
const MAX_MESSAGE = 300;

export function openDraft(plan: RunPlan, run: RunDocument, nowMs: EpochMs): Draft {
  return { plan, run: { ...run, tasks: { ...run.tasks } }, nowMs, now: toIso(nowMs), effects: [] };
}

export function planTaskOf(plan: RunPlan, name: string): PlanTask {
  const task = plan.tasks.find((one) => one.name === name);
  if (task === undefined) throw new AppError("pipeline/no-task", `run ${plan.run} has no task "${name}"`);
  return task;
}

export function clip(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 1)}…`;
}

export function moveRun(draft: Draft, to: RunState): void {
  const from = draft.run.state;
  if (!RUN_EDGES[from].includes(to) && RUN_AGAIN[from] !== to) throw noEdge(`run ${draft.run.id}`, from, to);
  draft.run.state = to;
  draft.effects.push({ type: "run", from, to });
}

/** Moves a task along an edge. Message and wait are those of the new state. */
export function moveTask(draft: Draft, name: string, to: TaskState, more: Partial<TaskRun> = {}): void {
  const before = taskOf(draft.run, name);
  if (!TASK_EDGES[before.state].includes(to)) throw noEdge(`task ${name}`, before.state, to);
  const { wait: _wait, message: _message, stopping: _stopping, ...kept } = before;
  draft.run.tasks[name] = clipped({ ...kept, state: to, since: draft.now, ...(isTaskEnd(to) ? { endedAt: draft.now } : {}), ...more });
  draft.effects.push({ type: "task", task: name, attempt: before.attempt, from: before.state, to });
}

/** Changes what is told of a task within its state. */
export function patchTask(draft: Draft, name: string, more: Partial<TaskRun>): void {
  draft.run.tasks[name] = clipped({ ...taskOf(draft.run, name), ...more });
}

/** Begins a new attempt of a task: what the last one came to goes into its history. */
export function againTask(draft: Draft, name: string, to: "pending" | "scheduling", more: Partial<TaskRun> = {}): void {
  const before = taskOf(draft.run, name);
  if (TASK_AGAIN[before.state]?.includes(to) !== true) throw noEdge(`task ${name}, new attempt`, before.state, to);
  const begun = before.startedAt !== undefined || before.audit !== undefined;
  const keep = Math.max(1, Math.min(REMEMBERED_A_TASK, Math.floor(REMEMBERED_ATTEMPTS / draft.plan.tasks.length)));
  const history = [...(before.history ?? []), ...(begun ? [pastOf(before, draft.now)] : [])].slice(-keep);
  draft.run.tasks[name] = {
    state: to,
    attempt: before.attempt + (begun ? 1 : 0),
    since: draft.now,
    ...(history.length === 0 ? {} : { history }),
    ...more,
  };
  draft.effects.push({ type: "task", task: name, attempt: before.attempt, from: before.state, to });
}

export function setInstance(
  draft: Draft,
  name: string,
  execution: string,
  state: InstanceState,
  more: Pick<Instance, "message" | "ran"> = {},
): void {
  const { message } = more;
  const instances = (taskOf(draft.run, name).instances ?? []).map(
    (instance): Instance =>
      instance.execution === execution
        ? { ...instance, ...more, state, ...(message === undefined ? {} : { message: clip(message) }) }
        : instance,
  );
  patchTask(draft, name, { instances });
}

export function liveInstances(task: TaskRun): readonly Instance[] {
  return (task.instances ?? []).filter(({ state }) => isLive(state));
}

/**
 * Ends the executions of a task: those not ordered yet never are, the others are killed. True when nothing is left to wait for; else the task is
 * `cancelling`, and `stopping` says what becomes of it.
 */
export function stopInstances(draft: Draft, task: PlanTask, stopping: NonNullable<TaskRun["stopping"]>): boolean {
  const { attempt } = taskOf(draft.run, task.name);
  for (const instance of liveInstances(taskOf(draft.run, task.name))) {
    if (instance.state === "planned") setInstance(draft, task.name, instance.execution, "cancelled");
    else {
      setInstance(draft, task.name, instance.execution, "cancelling");
      draft.effects.push({
        type: "kill",
        task: task.name,
        attempt,
        node: instance.node,
        execution: instance.execution,
        reason: stopping.message,
      });
    }
  }
  if (liveInstances(taskOf(draft.run, task.name)).length === 0) return true;
  const grace = parseDuration(draft.plan.jobs[task.job]?.spec.killGrace ?? "") ?? JOB_DEFAULTS.killGraceMs;
  const wait = { for: "stop", until: toIso(draft.nowMs + grace + STOP_ANSWER_MS) } as const;
  moveTask(draft, task.name, "cancelling", { stopping, wait, message: stopping.message });
  return false;
}

function pastOf(task: TaskRun, now: string): PastAttempt {
  const { attempt, state, startedAt, endedAt, message, instances = [] } = task;
  const nodes = instances.slice(0, 10).map(({ node }) => node);
  return {
    attempt,
    state: isTaskEnd(state) ? state : "failed",
    ...(startedAt === undefined ? {} : { startedAt }),
    endedAt: endedAt ?? now,
    ...(nodes.length === 0 ? {} : { nodes }),
    ...(message === undefined ? {} : { message }),
  };
}

function clipped(task: TaskRun): TaskRun {
  return task.message === undefined || task.message.length <= MAX_MESSAGE ? task : { ...task, message: clip(task.message) };
}

function noEdge(what: string, from: string, to: string): AppError {
  return new AppError("internal/bug", `${what}: no edge from ${from} to ${to}`);
}
