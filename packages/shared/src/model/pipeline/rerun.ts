/** Beginning again: the whole run, or from a task on. What was is kept as history; tasks that are done and do not depend on what runs again stay done. */
import { AppError } from "../../base/errors.ts";
import { againTask, type Draft, moveRun } from "./draft.ts";
import { ancestorsOf } from "./graph.ts";
import { isRunEnd, type PastRun, taskOf } from "./run-document.ts";

const REMEMBERED_RUNS = 20;

/** The run waits in its queue again, as a new attempt. */
export function rerun(draft: Draft, { from, by }: { from?: string | undefined; by: string }): boolean {
  const { run, plan } = draft;
  if (!isRunEnd(run.state))
    throw new AppError("pipeline/not-now", `run ${run.id} has not ended; it is ${run.state}`, { hint: "cancel it first, or wait" });
  if (from !== undefined) taskOf(run, from);
  const isAgain = plan.tasks.map((task) => {
    const { state } = taskOf(run, task.name);
    const isDone = state === "succeeded" || state === "skipped" || (state === "failed" && task.ignoreFailed === true);
    return from === undefined || task.name === from || task.part === "finally" || !isDone;
  });
  for (const [index, task] of plan.tasks.entries()) {
    const isBefore = ancestorsOf(plan.tasks, index);
    // Tasks stand behind what they wait for, so what that comes to is known.
    if (isAgain.some((again, other) => again && other < index && isBefore(other))) isAgain[index] = true;
    if (isAgain[index] === true) againTask(draft, task.name, "pending");
  }
  const { endedAt = draft.now, startedAt, message, state, attempt } = run;
  const past: PastRun = {
    attempt,
    state,
    endedAt,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(message === undefined ? {} : { message }),
  };
  run.history = [...(run.history ?? []), past].slice(-REMEMBERED_RUNS);
  run.attempt += 1;
  run.part = "main";
  run.by = by;
  run.queuedAt = draft.now;
  for (const field of ["startedAt", "endedAt", "message", "cancel", "failure", "deadline"] as const) delete run[field];
  moveRun(draft, "queued");
  return true;
}
