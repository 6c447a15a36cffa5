/**
 * The pipeline engine as one pure function: a run, what has happened, the run that it becomes, and what else must be done in the same transaction. Facts that come late, twice
 * or for an older attempt change nothing; intents that a state does not allow are refused with a coded error. States and edges: run-document.ts.
 */
import { type EpochMs, toIso } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import { AppError } from "../../base/errors.ts";
import { type DecideEvent, decide, type StatusEvent, setStatus } from "./decide.ts";
import {
  type Draft,
  type Effect,
  liveInstances,
  moveRun,
  moveTask,
  openDraft,
  patchTask,
  planTaskOf,
  setInstance,
  stopInstances,
} from "./draft.ts";
import type { Values } from "./params.ts";
import type { PlanTask, RunPlan } from "./plan.ts";
import { rerun } from "./rerun.ts";
import { isLive, isRunEnd, type RunDocument, type TaskRun, taskOf } from "./run-document.ts";
import { afterWords, attemptEnded, endTask, fail, settle, stopTasks, waitForNode } from "./settle.ts";

/** A fact about one execution of a task. */
type OfExecution = { readonly task: string; readonly attempt: number; readonly execution: string };

export type RunEvent = { readonly nowMs: EpochMs } & (
  | { readonly type: "start" }
  | { readonly type: "cancel"; readonly by: string; readonly reason: string }
  /** From the beginning, or from a task on: that one, all that depend on it, and all that did not succeed. */
  | { readonly type: "rerun"; readonly from?: string | undefined; readonly by: string }
  | DecideEvent
  | StatusEvent
  /** The nodes of an attempt are chosen. */
  | {
      readonly type: "placed";
      readonly task: string;
      readonly attempt: number;
      readonly instances: readonly { readonly node: string; readonly execution: string }[];
      /** Which nodes were left out, and why. */
      readonly message?: string | undefined;
    }
  /** No node can take it now, and why. */
  | { readonly type: "noNode"; readonly task: string; readonly attempt: number; readonly why: string }
  /** These executions go out with this transaction. */
  | {
      readonly type: "ordered";
      readonly task: string;
      readonly attempt: number;
      readonly executions: readonly string[];
      /** Of the update token that goes with the order. */
      readonly tokenHash?: string | undefined;
    }
  | ({ readonly type: "started" } & OfExecution)
  /** `ran`: a process was started at all. `lost`: nobody knows, so should it still run it is to be ended. */
  | ({
      readonly type: "ended";
      readonly success: boolean;
      readonly ran: boolean;
      readonly lost?: true;
      readonly message: string;
      readonly outputs?: Values | undefined;
    } & OfExecution)
  /** Deadlines are looked at. */
  | { readonly type: "tick" }
);

export type Step = { readonly run: RunDocument; readonly effects: readonly Effect[] };

/** Outputs of all tasks of a run together, as JSON. */
export const MAX_OUTPUT_BYTES = 256 * 1024;

/** Throws `pipeline/not-now`, `pipeline/decided`, `pipeline/no-task`, `auth/denied`, `input/invalid`. The same `run` comes back when nothing has changed. */
export function step(plan: RunPlan, run: RunDocument, event: RunEvent): Step {
  const draft = openDraft(plan, run, event.nowMs);
  const changed = apply(draft, event);
  if (!changed) return { run, effects: [] };
  settle(draft);
  return { run: draft.run, effects: draft.effects };
}

/** False when the event changes nothing. */
function apply(draft: Draft, event: RunEvent): boolean {
  const { run } = draft;
  switch (event.type) {
    case "start":
      return start(draft);
    case "cancel":
      return cancel(draft, event);
    case "rerun":
      return rerun(draft, event);
    case "decide":
      return decide(draft, event);
    case "status":
      return setStatus(draft, event);
    case "tick":
      return tick(draft);
  }
  // Facts about an attempt: only of the present one, while the run goes on.
  const held = Object.hasOwn(run.tasks, event.task) ? run.tasks[event.task] : undefined;
  if (held === undefined || held.attempt !== event.attempt || isRunEnd(run.state)) return false;
  const task = planTaskOf(draft.plan, event.task);
  switch (event.type) {
    case "placed":
      return placed(draft, task, held, event);
    case "noNode":
      if (held.state !== "scheduling" || held.wait?.for !== "node" || held.message === event.why) return false;
      patchTask(draft, task.name, { message: event.why });
      return true;
    case "ordered":
      return ordered(draft, task, held, event);
    case "started":
      return started(draft, held, event);
    case "ended":
      return ended(draft, task, held, event);
  }
}

function start(draft: Draft): boolean {
  if (draft.run.state !== "queued") return false;
  draft.run.startedAt = draft.now;
  if (draft.plan.timeoutMs > 0) draft.run.deadline = toIso(draft.nowMs + draft.plan.timeoutMs);
  moveRun(draft, "active");
  return true;
}

function cancel(draft: Draft, { by, reason }: { by: string; reason: string }): boolean {
  const { run } = draft;
  if (isRunEnd(run.state)) throw new AppError("pipeline/not-now", `run ${run.id} has ended already: ${run.state}`);
  const again = run.cancel !== undefined;
  run.cancel ??= { by, at: draft.now, reason };
  if (run.state === "queued") {
    stopTasks(draft, "main", "the run was cancelled", true);
    stopTasks(draft, "finally", "the run was cancelled before it began", true);
    run.endedAt = draft.now;
    run.message = `cancelled by ${by} before it began`;
    moveRun(draft, "cancelled");
    return true;
  }
  // Tasks of `finally` run after a cancellation too; who cancels while they run means them.
  if (again && run.part === "main") return false;
  stopTasks(draft, run.part, `the run was cancelled by ${by}`, true);
  return true;
}

function placed(draft: Draft, task: PlanTask, held: TaskRun, event: Extract<RunEvent, { type: "placed" }>): boolean {
  if (held.state !== "scheduling" || held.wait?.for !== "node" || event.instances.length === 0) return false;
  moveTask(draft, task.name, "creating", {
    startedAt: draft.now,
    instances: [
      ...(held.instances ?? []),
      ...event.instances.map(({ node, execution }) => ({ node, execution, state: "planned" }) as const),
    ],
    wait: task.timeoutMs === 0 ? { for: "end" } : { for: "end", until: toIso(draft.nowMs + task.timeoutMs) },
    ...(event.message === undefined ? {} : { message: event.message }),
  });
  return true;
}

function ordered(draft: Draft, task: PlanTask, held: TaskRun, event: Extract<RunEvent, { type: "ordered" }>): boolean {
  const { executions, tokenHash } = event;
  const going = (held.instances ?? []).filter(({ execution, state }) => state === "planned" && executions.includes(execution));
  for (const { execution, node } of going) {
    setInstance(draft, task.name, execution, "creating");
    draft.effects.push({ type: "order", task: task.name, attempt: held.attempt, node, execution });
  }
  if (going.length === 0) return false;
  if (tokenHash !== undefined) patchTask(draft, task.name, { tokenHash });
  return true;
}

function started(draft: Draft, held: TaskRun, { task, execution }: OfExecution): boolean {
  const instance = held.instances?.find((one) => one.execution === execution);
  if (instance?.state !== "creating") return false;
  setInstance(draft, task, execution, "active", { ran: true });
  if (held.state === "creating") moveTask(draft, task, "active", held.wait === undefined ? {} : { wait: held.wait });
  return true;
}

function ended(draft: Draft, task: PlanTask, held: TaskRun, event: Extract<RunEvent, { type: "ended" }>): boolean {
  const instance = held.instances?.find((one) => one.execution === event.execution);
  if (instance === undefined || !isLive(instance.state)) return false;
  const problem = takeOutputs(draft, task, event.outputs);
  const success = event.success && problem === undefined;
  setInstance(draft, task.name, event.execution, success ? "succeeded" : "failed", {
    message: problem ?? event.message,
    ...(event.ran ? { ran: true } : {}),
  });
  if (event.lost === true) {
    const { node, execution } = instance;
    draft.effects.push({ type: "kill", task: task.name, attempt: held.attempt, node, execution, reason: event.message });
  }
  const now = taskOf(draft.run, task.name);
  if (liveInstances(now).length > 0) {
    if (held.state === "creating") moveTask(draft, task.name, "active", held.wait === undefined ? {} : { wait: held.wait });
    return true;
  }
  if (now.stopping !== undefined) stopped(draft, task, now.stopping);
  else finishInstances(draft, task, now);
  return true;
}

/** Every execution of the attempt has ended by itself. */
function finishInstances(draft: Draft, task: PlanTask, now: TaskRun): void {
  const failed = (now.instances ?? []).filter(({ state }) => state !== "succeeded");
  const [first] = failed;
  if (first !== undefined) {
    const others = failed.length === 1 ? "" : ` and on ${failed.length - 1} more`;
    return attemptEnded(draft, task, "failed", `${first.message ?? "failed"} on ${first.node}${others}`);
  }
  if (task.manualStatus !== true) return attemptEnded(draft, task, "succeeded", "");
  const { until } = now.wait ?? {};
  const wait = { for: "status", ...(until === undefined ? {} : { until }) } as const;
  if (now.state === "creating") moveTask(draft, task.name, "active");
  patchTask(draft, task.name, { wait, message: "its job is done; its status is still to be reported" });
}

/** What was killed is gone. */
function stopped(draft: Draft, task: PlanTask, { to, message }: NonNullable<TaskRun["stopping"]>): void {
  if (to === "cancelled") endTask(draft, task, "cancelled", message);
  else attemptEnded(draft, task, "failed", message);
}

/** Keeps the outputs of an execution, or says why they cannot be kept. */
function takeOutputs(draft: Draft, task: PlanTask, outputs: Values | undefined): string | undefined {
  if (outputs === undefined || Object.keys(outputs).length === 0) return undefined;
  const all = { ...taskOf(draft.run, task.name).outputs, ...outputs };
  let bytes = Buffer.byteLength(JSON.stringify(all));
  for (const [name, other] of Object.entries(draft.run.tasks)) {
    if (name !== task.name && other.outputs !== undefined) bytes += Buffer.byteLength(JSON.stringify(other.outputs));
  }
  if (bytes > MAX_OUTPUT_BYTES) return `the outputs of the run's tasks take more than ${MAX_OUTPUT_BYTES / 1024} KiB`;
  patchTask(draft, task.name, { outputs: all });
  return undefined;
}

function tick(draft: Draft): boolean {
  const { plan, run } = draft;
  if (isRunEnd(run.state)) return false;
  let changed = false;
  if (run.deadline !== undefined && run.deadline <= draft.now) {
    delete run.deadline;
    fail(draft, undefined, `the run did not end ${afterWords(plan.timeoutMs)}`, true);
    changed = true;
  }
  for (const task of plan.tasks) {
    const held = taskOf(run, task.name);
    if (held.wait?.until === undefined || held.wait.until > draft.now) continue;
    expire(draft, task, held, held.wait);
    changed = true;
  }
  return changed;
}

function expire(draft: Draft, task: PlanTask, held: TaskRun, wait: NonNullable<TaskRun["wait"]>): void {
  switch (wait.for) {
    case "audit":
      return endTask(draft, task, "failed", `nobody approved it ${afterWords(task.audit?.timeoutMs ?? 0)}`);
    case "confirm":
      return endTask(draft, task, "failed", `nobody confirmed it ${afterWords(task.confirm?.timeoutMs ?? 0)}`);
    case "node":
      return endTask(
        draft,
        task,
        "failed",
        `no node could take it ${afterWords(task.nodeTimeoutMs)}${held.message === undefined ? "" : `: ${held.message}`}`,
      );
    case "retry":
      return patchTask(draft, task.name, { wait: waitForNode(draft, task) });
    case "end":
    case "status": {
      const message = `it did not end ${afterWords(task.timeoutMs)}`;
      if (stopInstances(draft, task, { to: "failed", message })) attemptEnded(draft, task, "failed", message);
      return;
    }
    case "stop": {
      const nodes = liveInstances(held).map(({ node }) => node);
      for (const { execution } of liveInstances(held))
        setInstance(draft, task.name, execution, "cancelled", { message: "the node did not answer" });
      const { to, message } = held.stopping ?? { to: "cancelled", message: "" };
      return stopped(draft, task, {
        to,
        message: `${message}; no answer from ${nodes.join(", ")} ${formatDuration(draft.nowMs - Date.parse(held.since))} after the kill`,
      });
    }
  }
}
