/**
 * What follows from a change of a task: which tasks begin now, what a failure stops, when the main part is complete, how the run ends. The join is
 * "all complete", never "none active". Called at the end of every step.
 */
import { toIso } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import { matchesLabel } from "../target.ts";
import { againTask, type Draft, moveRun, moveTask, patchTask, stopInstances } from "./draft.ts";
import { ancestorsOf } from "./graph.ts";
import { namesFor, type Resolved, type Values } from "./params.ts";
import { type PlanTask, planParams, type RunPlan, resolveTask } from "./plan.ts";
import { isTaskEnd, type RunDocument, type TaskRun, taskOf } from "./run-document.ts";

/** Starts what can start, and brings the run to its end when there is nothing left. */
export function settle(draft: Draft): void {
  const { run } = draft;
  if (run.state !== "active") return;
  if (run.part === "main") {
    startReady(draft, "main");
    if (!isComplete(draft, "main")) return;
    run.part = "finally";
    delete run.deadline;
  }
  startReady(draft, "finally");
  if (!isComplete(draft, "finally")) return;
  const ignored = Object.values(run.tasks).filter(({ state }) => state === "failed" || state === "cancelled").length;
  run.endedAt = draft.now;
  if (run.cancel !== undefined) run.message = `cancelled by ${run.cancel.by}${run.cancel.reason === "" ? "" : `: ${run.cancel.reason}`}`;
  else if (run.failure !== undefined) run.message = run.failure.message;
  else if (ignored > 0) run.message = `${ignored === 1 ? "1 task has" : `${ignored} tasks have`} failed, which is ignored`;
  moveRun(draft, run.cancel !== undefined ? "cancelled" : run.failure !== undefined ? "failed" : "succeeded");
}

function isComplete({ plan, run }: Draft, part: PlanTask["part"]): boolean {
  return plan.tasks.every((task) => task.part !== part || isTaskEnd(taskOf(run, task.name).state));
}

function startReady(draft: Draft, part: PlanTask["part"]): void {
  const { plan, run } = draft;
  const isEnded = (index: number) => isTaskEnd(run.tasks[plan.tasks[index]?.name ?? ""]?.state ?? "pending");
  const producers = producersOf(plan, run);
  /** All tasks before it are complete. */
  let prefix = 0;
  for (const [index, task] of plan.tasks.entries()) {
    while (prefix < index && isEnded(prefix)) prefix++;
    if (task.part !== part || run.tasks[task.name]?.state !== "pending") continue;
    if (prefix >= task.after && task.needs.every(isEnded)) begin(draft, task, producers);
  }
}

function begin(draft: Draft, task: PlanTask, producers: readonly Producer[]): void {
  if (task.skip === true) return moveTask(draft, task.name, "skipped", { message: "it is marked as skipped" });
  const unmet = unmetCondition(draft.plan, task, producers);
  if (unmet !== undefined) return moveTask(draft, task.name, "skipped", { message: unmet });
  if (task.audit === undefined) return toScheduling(draft, task, producers);
  const wait = { for: "audit", until: toIso(draft.nowMs + task.audit.timeoutMs) } as const;
  moveTask(draft, task.name, "waitingAudit", { wait, message: `waits for approval by ${task.audit.auditors.join(", ")}` });
}

/** A task whose turn has come and that nobody has to approve (any more): with right params it waits for a node. */
export function toScheduling(draft: Draft, task: PlanTask, producers = producersOf(draft.plan, draft.run)): void {
  moveTask(draft, task.name, "scheduling", { wait: waitForNode(draft, task) });
  const { issues } = resolveFor(draft.plan, task, producers);
  if (issues.length > 0) {
    const why = issues.map(({ path, message }) => `${path} ${message}`).join("; ");
    return endTask(draft, task, "failed", `its params are not right: ${why}`);
  }
  if (task.dryRun === true) moveTask(draft, task.name, "skipped", { message: "dry run: everything was ready for its start" });
}

export function waitForNode(draft: Draft, task: PlanTask): NonNullable<TaskRun["wait"]> {
  return { for: "node", until: toIso(draft.nowMs + task.nodeTimeoutMs) };
}

/** An attempt of a task has come to its end: another one, the question to a checker, or the end of the task. */
export function attemptEnded(draft: Draft, task: PlanTask, result: "succeeded" | "failed", message: string): void {
  const { retry } = task;
  const held = taskOf(draft.run, task.name);
  const retries = held.retries ?? 0;
  const mayGoOn = draft.run.cancel === undefined && (task.part === "finally" || draft.run.failure === undefined);
  if (result === "failed" && retry !== undefined && retries < retry.limit && mayGoOn) {
    const doubled = retry.backoff === "exponential" ? retry.delayMs * 2 ** Math.min(retries, 30) : retry.delayMs;
    const until = toIso(draft.nowMs + Math.min(doubled, Math.max(retry.maxDelayMs, retry.delayMs)));
    const { instances = [] } = held;
    const done = instances.filter(({ state }) => state === "succeeded");
    const failed = instances.filter(({ state }) => state !== "succeeded").map(({ node }) => node);
    patchTask(draft, task.name, { message });
    againTask(draft, task.name, "scheduling", {
      wait: { for: "retry", until },
      retries: retries + 1,
      message: `attempt ${held.attempt} failed: ${message}`,
      ...(task.forEachNode === true ? { onlyNodes: failed, instances: done } : {}),
      ...(held.audit === undefined ? {} : { audit: held.audit }),
    });
  } else if (task.confirm !== undefined && (held.instances ?? []).some(({ ran }) => ran === true)) {
    const wait = { for: "confirm", until: toIso(draft.nowMs + task.confirm.timeoutMs) } as const;
    const who = task.confirm.checkers.join(", ");
    moveTask(draft, task.name, "waitingConfirm", {
      wait,
      result,
      message: `${result}${message === "" ? "" : ` (${message})`}; waits for confirmation by ${who}`,
    });
  } else endTask(draft, task, result, message);
}

/** A task has come to its end; a failure that counts stops what has not started. */
export function endTask(draft: Draft, task: PlanTask, to: "succeeded" | "failed" | "cancelled", message: string): void {
  const { run } = draft;
  moveTask(draft, task.name, to, message === "" ? {} : { message });
  const meant = to === "cancelled" && (run.cancel !== undefined || run.failure !== undefined);
  if (to === "succeeded" || task.ignoreFailed === true || meant) return;
  fail(
    draft,
    task.name,
    `task ${task.name} ${to === "failed" ? "failed" : "was cancelled"}${message === "" ? "" : `: ${message}`}`,
    draft.plan.onFailure === "failFast",
  );
}

/** The run cannot succeed any more: nothing new starts in its main part; with `stopRunning` what runs is ended. */
export function fail(draft: Draft, task: string | undefined, message: string, stopRunning: boolean): void {
  const { run } = draft;
  run.failure ??= { at: draft.now, message, ...(task === undefined ? {} : { task }) };
  if (run.part === "main") stopTasks(draft, "main", `not wanted any more: ${message}`, stopRunning);
}

/** Cancels the tasks of a part that have not begun, and with `running` also those that have. */
export function stopTasks(draft: Draft, part: PlanTask["part"], message: string, running: boolean): void {
  for (const task of draft.plan.tasks) {
    if (task.part !== part) continue;
    const { state } = taskOf(draft.run, task.name);
    if (state === "pending" || state === "waitingAudit" || state === "scheduling") moveTask(draft, task.name, "cancelled", { message });
    else if (!running || isTaskEnd(state)) continue;
    else if (state === "cancelling") patchTask(draft, task.name, { stopping: { to: "cancelled", message } });
    else if (state === "waitingConfirm" || stopInstances(draft, task, { to: "cancelled", message })) {
      moveTask(draft, task.name, "cancelled", { message });
    }
  }
}

/** A task that has put something out. */
export type Producer = { readonly index: number; readonly outputs: Values };

export function producersOf(plan: RunPlan, run: Pick<RunDocument, "tasks">): readonly Producer[] {
  const found: Producer[] = [];
  for (const [index, { name }] of plan.tasks.entries()) {
    const outputs = run.tasks[name]?.outputs;
    if (outputs !== undefined) found.push({ index, outputs });
  }
  return found;
}

/** What the tasks that come before have put out; of the same name, the last in the plan's order. `finally` sees all of the main part. */
function outputsBefore(plan: RunPlan, task: PlanTask, producers: readonly Producer[]): Values {
  if (producers.length === 0) return {};
  const isBefore = ancestorsOf(plan.tasks, plan.tasks.indexOf(task));
  const seen = producers.filter(({ index }) => isBefore(index) || (task.part === "finally" && plan.tasks[index]?.part === "main"));
  return Object.assign({}, ...seen.map(({ outputs }) => outputs));
}

/** The params of a task, as they are now; secrets by their full names. */
export function resolveFor(plan: RunPlan, task: PlanTask, producers: readonly Producer[]): Resolved {
  return resolveTask(plan, task, outputsBefore(plan, task, producers));
}

function unmetCondition(plan: RunPlan, task: PlanTask, producers: readonly Producer[]): string | undefined {
  if (task.when === undefined) return undefined;
  const names = namesFor({
    pipeline: planParams(plan, task),
    run: plan.values,
    outputs: outputsBefore(plan, task, producers),
    globals: plan.globals,
  });
  for (const [name, wanted] of Object.entries(task.when)) {
    const value = names[name];
    if (matchesLabel(value === "" ? undefined : value, wanted)) continue;
    return `its condition does not hold: ${name} is ${value === undefined || value === "" ? "not set" : `"${value}"`}`;
  }
  return undefined;
}

/** In words, for messages about deadlines. */
export function afterWords(ms: number): string {
  return `within ${formatDuration(ms)}`;
}
