/**
 * May a tick of a `common` job, or an order, run here now? Draining, what this host allows (admission.ts), overlap and capacity decide; a tick that may not run gets its verdict at
 * once. What has been let in goes on, also when the node begins to drain meanwhile. Etcd is asked only where the job says `onIsolation: hold`: then its ticks wait in line (held-common.ts) before they come here.
 */
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Job } from "fleetcron-shared/model/job";
import type { Outcome, SkipReason } from "fleetcron-shared/model/record";
import type { Origin } from "../run/execution.ts";
import type { ActiveExecution } from "../run/executions.ts";
import type { RunDeps } from "../run/run-execution.ts";
import { type AdmissionDeps, type Refusal, refusalOf } from "./admission.ts";
import { launch } from "./launch.ts";
import { cancelled, postVerdict, type VerdictDeps } from "./verdicts.ts";

export type CommonGateDeps = RunDeps &
  VerdictDeps &
  AdmissionDeps & { readonly newId: IdSource; readonly isDraining: () => boolean; readonly isCurrentJob: (job: Job) => boolean };

type PassOptions = {
  /** The id that it has already. */
  readonly execution?: string | undefined;
  readonly attempt?: number | undefined;
  /** An earlier agent process has let it in. */
  readonly isLetIn?: boolean;
};

/** Starts the execution, or queues it, or records why not. Synchronous up to the start, so that a burst of ticks shares one journal commit. */
export function passCommon(deps: CommonGateDeps, job: Job, origin: Origin, options: PassOptions = {}): void {
  const id = options.execution ?? deps.newId();
  const refuse = (refusal: Refusal) => {
    postVerdict(deps, job, origin, { type: "skipped", ...refusal }, { execution: id, attempt: options.attempt });
    if (options.execution !== undefined) deps.executions.unshelve(id);
  };
  const skip = (reason: SkipReason, detail: string) => refuse({ reason, detail });
  if (deps.isDraining() && origin.type === "tick" && options.isLetIn !== true) return refuse({ reason: "drained" });
  const refusal = refusalOf(deps, job, origin);
  if (refusal !== undefined) return refuse(refusal);
  const active = deps.executions.of(job.key);
  const mustWait = active.length > 0 && !(job.overlap === "allow" && active.length < job.parallel);
  if (mustWait) {
    const waiting = active.find((execution) => execution.state === "claimed");
    if (job.overlap === "skip" || job.overlap === "allow")
      return skip("overlap", `execution ${active[0]?.id} is still ${active[0]?.state}`);
    if (job.overlap === "queue" && waiting !== undefined) return skip("overlap", `execution ${waiting.id} is queued already`);
    if (job.overlap === "replace")
      for (const execution of active) execution.kill({ by: "fleetcron", reason: `replaced by execution ${id}` });
  }
  const execution = deps.executions.begin(id, job, origin, options.attempt);
  if (!mustWait && deps.slots.tryTake()) void launch(deps, execution);
  else void waitThenLaunch(deps, execution, active);
}

async function waitThenLaunch(deps: CommonGateDeps, execution: ActiveExecution, before: readonly ActiveExecution[]): Promise<void> {
  const { job, origin, id, attempt } = execution;
  const wait = execution.untilUnwanted(deps.isCurrent);
  await Promise.race([Promise.all(before.map((other) => other.ended)), aborted(wait.signal)]);

  const late = new AbortController();
  const giveUp = deps.clock.after(job.misfireWindowMs, () => late.abort());
  const taken = await deps.slots.take(AbortSignal.any([wait.signal, late.signal]));
  giveUp();
  wait.done();
  const refusal = refusalOf(deps, job, origin) ?? (taken ? undefined : { reason: "capacity" as const });
  if (refusal === undefined && !wait.signal.aborted) return launch(deps, execution);
  if (taken) deps.slots.release();
  const outcome: Outcome = wait.signal.aborted || refusal === undefined ? cancelled(execution) : { type: "skipped", ...refusal };
  postVerdict(deps, job, origin, outcome, { execution: id, attempt });
  deps.executions.move(execution, "ended");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
