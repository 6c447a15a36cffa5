/** From a decided tick or order to its running execution; the last net for faults of our own, so that no execution stays without an end. */
import { asError } from "fleetcron-shared/base/errors";
import type { ActiveExecution } from "../run/executions.ts";
import { recordOf } from "../run/record.ts";
import { type RunDeps, runExecution } from "../run/run-execution.ts";
import type { Running } from "../run/supervisor.ts";

/** Runs an execution whose slot is taken, or goes on with one (`running`: its process). Never rejects. */
export async function launch(deps: RunDeps, execution: ActiveExecution, running?: Running): Promise<void> {
  try {
    await runExecution(deps, execution, running);
  } catch (thrown) {
    const error = asError(thrown);
    const about = { job: execution.job.key, execution: execution.id };
    deps.log.error({ ...about, error: error.message, stack: error.stack }, "an execution could not be run");
    try {
      giveUp(deps, execution, error.message);
    } catch (again) {
      deps.log.error({ ...about, error: asError(again).message }, "the end of an execution could not be noted");
    }
  }
}

function giveUp(deps: RunDeps, execution: ActiveExecution, fault: string): void {
  if (execution.state === "ended") return;
  const { id, job, origin, attempt, lock } = execution;
  const outcome = { type: "spawnFailed", error: `fault in the agent: ${fault}` } as const;
  const facts = { execution: id, job, origin, attempt, finalAttempt: true, outcome, success: false, endMs: deps.clock.now() };
  deps.outbox.post({ record: recordOf(deps.host, facts), lock });
  deps.executions.move(execution, "ended");
}
