/** The last stretch of an `alone` execution that holds its lock: a slot, then its run, with an eye on who wants to replace it. */
import type { ActiveExecution } from "../run/executions.ts";
import type { Running } from "../run/supervisor.ts";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import { launch } from "./launch.ts";
import { watchForReplacement } from "./lock-turn.ts";
import { cancelled, postVerdict } from "./verdicts.ts";

/** Waits for a slot, then runs; the verdict says why if it must not. */
export async function launchWithSlot(deps: ClusterGateDeps, execution: ActiveExecution): Promise<void> {
  const wait = execution.untilUnwanted(deps.isCurrent);
  const taken = await deps.slots.take(wait.signal);
  wait.done();
  if (taken && !wait.signal.aborted) return launchReplaceable(deps, execution);
  if (taken) deps.slots.release();
  const { id, job, origin, attempt, lock } = execution;
  postVerdict(deps, job, origin, cancelled(execution), { execution: id, attempt, lock });
  deps.executions.move(execution, "ended");
}

/** Runs an execution whose slot is taken, until it ends or, with `overlap: replace`, another one asks for its place. */
export async function launchReplaceable(deps: ClusterGateDeps, execution: ActiveExecution, running?: Running): Promise<void> {
  const replaceable = execution.lock !== undefined && execution.job.overlap === "replace";
  const stopWatching = replaceable ? watchForReplacement(deps, execution) : undefined;
  await launch(deps, execution, running);
  stopWatching?.();
}
