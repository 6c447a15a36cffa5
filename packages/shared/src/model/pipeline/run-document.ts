/**
 * A run of a pipeline: the document that holds every task's state, and the tables of states and edges (docs/states.md). Times are RFC 3339 text.
 * Only step.ts makes new documents; terminal is terminal, and only a new attempt of the whole run or of a task begins again.
 */
import { AppError } from "../../base/errors.ts";
import type { Values } from "./params.ts";
import type { RunPlan } from "./plan.ts";

export type RunState = "queued" | "active" | "succeeded" | "failed" | "cancelled";

export type TaskState =
  | "pending"
  | "waitingAudit"
  | "scheduling"
  | "creating"
  | "active"
  | "cancelling"
  | "waitingConfirm"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "skipped";

/** From which state which may follow within one attempt. */
export const RUN_EDGES: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: ["active", "cancelled"],
  active: ["succeeded", "failed", "cancelled"],
  succeeded: [],
  failed: [],
  cancelled: [],
};

export const TASK_EDGES: Readonly<Record<TaskState, readonly TaskState[]>> = {
  pending: ["waitingAudit", "scheduling", "skipped", "cancelled"],
  waitingAudit: ["scheduling", "failed", "cancelled"],
  scheduling: ["creating", "skipped", "succeeded", "failed", "cancelled"],
  creating: ["active", "cancelling", "waitingConfirm", "succeeded", "failed", "cancelled"],
  active: ["cancelling", "waitingConfirm", "succeeded", "failed", "cancelled"],
  cancelling: ["waitingConfirm", "failed", "cancelled"],
  waitingConfirm: ["succeeded", "failed", "cancelled"],
  succeeded: [],
  failed: [],
  cancelled: [],
  skipped: [],
};

/** Where a new attempt may begin, and from where: a rerun of the run, a retry of a task (then to scheduling) or its rerun (to pending). */
export const RUN_AGAIN: Readonly<Partial<Record<RunState, RunState>>> = { succeeded: "queued", failed: "queued", cancelled: "queued" };
export const TASK_AGAIN: Readonly<Partial<Record<TaskState, readonly TaskState[]>>> = {
  scheduling: ["scheduling"],
  creating: ["scheduling"],
  active: ["scheduling"],
  cancelling: ["scheduling"],
  succeeded: ["pending"],
  failed: ["pending"],
  cancelled: ["pending"],
  skipped: ["pending"],
};

export type InstanceState = "planned" | "creating" | "active" | "cancelling" | "succeeded" | "failed" | "cancelled";

/** One execution of a task's attempt, on one node. */
export type Instance = {
  readonly node: string;
  readonly execution: string;
  readonly state: InstanceState;
  /** A process was started. */
  readonly ran?: true;
  readonly message?: string;
};

/** What a task waits for, and until when; without `until` only the run's own deadline counts. */
export type Wait = { readonly for: "audit" | "node" | "retry" | "end" | "status" | "stop" | "confirm"; readonly until?: string };

export type Decision = { readonly verdict: "yes" | "no"; readonly by: string; readonly at: string; readonly comment?: string };

/** What is left of an earlier attempt. */
export type PastAttempt = {
  readonly attempt: number;
  readonly state: TaskState;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly nodes?: readonly string[];
  readonly message?: string;
};

export type TaskRun = {
  readonly state: TaskState;
  /** From 1; grows with each retry and rerun. */
  readonly attempt: number;
  /** When it came to this state. */
  readonly since: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** Why it is in this state, for people. */
  readonly message?: string;
  readonly wait?: Wait;
  readonly instances?: readonly Instance[];
  /** Of a retry on many nodes: only where it failed. */
  readonly onlyNodes?: readonly string[];
  /** Retries of this rerun so far. */
  readonly retries?: number;
  /** What becomes of it when its executions have ended. */
  readonly stopping?: { readonly to: "failed" | "cancelled"; readonly message: string };
  /** How its executions ended, while somebody confirms. */
  readonly result?: "succeeded" | "failed";
  readonly audit?: Decision;
  readonly confirm?: Decision;
  readonly outputs?: Values;
  /** sha256 of the update token of this attempt. */
  readonly tokenHash?: string;
  readonly history?: readonly PastAttempt[];
};

export type PastRun = {
  readonly attempt: number;
  readonly state: RunState;
  readonly startedAt?: string;
  readonly endedAt: string;
  readonly message?: string;
};

/** The value of `runs/<group>/<pipeline>/<run>`. */
export type RunDocument = {
  readonly v: 1;
  readonly id: string;
  readonly group: string;
  readonly pipeline: string;
  readonly attempt: number;
  readonly state: RunState;
  readonly createdAt: string;
  /** Its place in the queue of its sequence. */
  readonly queuedAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly by: string;
  /** What asked for it: `manual`, or a trigger. */
  readonly trigger: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The value of the label that runs of this pipeline queue by. */
  readonly sequence?: string;
  /** How many runs came before it, each started by the end of the one before. */
  readonly chain?: number;
  readonly part: "main" | "finally";
  readonly message?: string;
  readonly deadline?: string;
  readonly cancel?: { readonly by: string; readonly at: string; readonly reason: string };
  /** The first failure that counts; nothing new starts after it. */
  readonly failure?: { readonly task?: string; readonly at: string; readonly message: string };
  readonly tasks: Readonly<Record<string, TaskRun>>;
  readonly history?: readonly PastRun[];
};

/** A run as it is asked for: queued, nothing begun. `sequence`: the value of the label that runs queue by. */
export function newRun(
  plan: RunPlan,
  asked: { by: string; trigger: string; at: string; sequence?: string | undefined; chain?: number | undefined },
): RunDocument {
  const { run: id, group, id: pipeline, labels } = plan;
  const { by, trigger, at, sequence, chain } = asked;
  const task: TaskRun = { state: "pending", attempt: 1, since: at };
  return {
    ...{ v: 1, id, group, pipeline, attempt: 1, state: "queued", createdAt: at, queuedAt: at, by, trigger, labels, part: "main" },
    ...(sequence === undefined ? {} : { sequence }),
    ...(chain === undefined ? {} : { chain }),
    tasks: Object.fromEntries(plan.tasks.map(({ name }) => [name, task])),
  };
}

export function isRunEnd(state: RunState): boolean {
  return RUN_EDGES[state].length === 0;
}

/** Whether a task has come to its end: done, for whoever waits for it. */
export function isTaskEnd(state: TaskState): boolean {
  return TASK_EDGES[state].length === 0;
}

/** Whether an execution may still run, or begin. */
export function isLive(state: InstanceState): boolean {
  return state === "planned" || state === "creating" || state === "active" || state === "cancelling";
}

/** The task; throws `pipeline/no-task`. */
export function taskOf(run: Pick<RunDocument, "tasks" | "id">, name: string): TaskRun {
  const task = Object.hasOwn(run.tasks, name) ? run.tasks[name] : undefined;
  if (task === undefined)
    throw new AppError("pipeline/no-task", `run ${run.id} has no task "${name}"`, {
      hint: `its tasks: ${Object.keys(run.tasks).join(", ")}`,
    });
  return task;
}

/** The earliest time at which something is over by itself; `tick` then. */
export function nextDeadline(run: RunDocument): string | undefined {
  if (isRunEnd(run.state)) return undefined;
  let first = run.deadline;
  for (const { wait } of Object.values(run.tasks))
    if (wait?.until !== undefined && (first === undefined || wait.until < first)) first = wait.until;
  return first;
}
