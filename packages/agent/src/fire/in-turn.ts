/**
 * Ticks of a `common` job that passed while nobody could fire them, or that an earlier agent process has left: each after the one before, at most one a second.
 * The journal has them while they wait, so that none is without a verdict when the agent dies meanwhile. Etcd away: see who lets them pass.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Job } from "fleetcron-shared/model/job";
import type { Outcome } from "fleetcron-shared/model/record";
import type { Origin } from "../run/execution.ts";
import type { CommonGateDeps } from "./common-gate.ts";
import { postVerdict } from "./verdicts.ts";

const EVERY_MS = 1000;

/** An execution that is in the journal and has not begun. */
export type Waiting = { readonly execution: string; readonly origin: Origin; readonly attempt?: number };

/** `pass` decides on one of them. Those whose job has changed by then are cancelled. */
export async function passInTurn(deps: CommonGateDeps, job: Job, waiting: readonly Waiting[], pass: (one: Waiting) => void): Promise<void> {
  for (const one of waiting) {
    await Promise.all(deps.executions.of(job.key).map((execution) => execution.ended));
    const outcome = one.origin.type === "tick" ? tooLate(deps, job, one.origin.dueMs) : undefined;
    if (outcome !== undefined) {
      postVerdict(deps, job, one.origin, outcome, one);
      deps.executions.unshelve(one.execution);
      continue;
    }
    pass(one);
    await deps.clock.sleep(EVERY_MS);
  }
}

/** Why a tick must not run any more, now that its turn has come. */
function tooLate(deps: CommonGateDeps, job: Job, dueMs: EpochMs): Outcome | undefined {
  if (!deps.isCurrentJob(job)) return { type: "skipped", reason: "cancelled", detail: "the job was edited, paused or deleted meanwhile" };
  return deps.clock.now() - dueMs > job.misfireWindowMs ? { type: "missed", reason: "misfireWindow" } : undefined;
}
