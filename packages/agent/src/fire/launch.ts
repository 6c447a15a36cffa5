/** From a decided tick or order to its running execution; the last net for faults of our own, so that no execution stays without an end. */
import { asError } from "fleetcron-shared/base/errors";
import type { ActiveExecution } from "../run/executions.ts";
import { recordOf } from "../run/record.ts";
import { type RunDeps, runExecution } from "../run/run-execution.ts";

/** Runs an execution whose slot is taken. Never rejects. */
export async function launch(deps: RunDeps, execution: ActiveExecution): Promise<void> {
  if (deps.stopping.aborted) return;
  try {
    await runExecution(deps, execution);
  } catch (thrown) {
    const error = asError(thrown);
    deps.log.error(
      { job: execution.job.key, execution: execution.id, error: error.message, stack: error.stack },
      "an execution could not be run",
    );
    if (execution.state === "ended") return;
    const { id, job, origin, attempt, lock } = execution;
    const outcome = { type: "spawnFailed", error: `fault in the agent: ${error.message}` } as const;
    const facts = { execution: id, job, origin, attempt, finalAttempt: true, outcome, success: false, endMs: deps.clock.now() };
    deps.outbox.post({ record: recordOf(deps.host, facts), lock });
    deps.executions.move(execution, "ended");
  }
}
