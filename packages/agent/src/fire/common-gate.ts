/**
 * May a tick of a `common` job, or an order, run here now? Draining, overlap and capacity decide; etcd is asked only where the job says
 * `onIsolation: hold`. A tick that may not run gets its verdict at once.
 */
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Job } from "fleetcron-shared/model/job";
import type { SkipReason } from "fleetcron-shared/model/record";
import type { Origin } from "../run/execution.ts";
import type { ActiveExecution } from "../run/executions.ts";
import type { RunDeps } from "../run/run-execution.ts";
import { launch } from "./launch.ts";
import { postVerdict, type VerdictDeps } from "./verdicts.ts";

export type CommonGateDeps = RunDeps &
  VerdictDeps & { readonly newId: IdSource; readonly isDraining: () => boolean; readonly isCurrentJob: (job: Job) => boolean };

/** Starts the execution, or queues it, or records why not. Synchronous up to the start, so that a burst of ticks shares one journal commit. */
export function passCommon(deps: CommonGateDeps, job: Job, origin: Origin, options: { execution?: string; attempt?: number } = {}): void {
  const skip = (reason: SkipReason, detail?: string) =>
    postVerdict(deps, job, origin, { type: "skipped", reason, ...(detail === undefined ? {} : { detail }) });
  if (deps.isDraining() && origin.type === "tick") return skip("drained");
  const active = deps.executions.of(job.key);
  const mustWait = active.length > 0 && !(job.overlap === "allow" && active.length < job.parallel);
  if (mustWait) {
    const waiting = active.find((execution) => execution.state === "claimed");
    if (job.overlap === "skip" || job.overlap === "allow")
      return skip("overlap", `execution ${active[0]?.id} is still ${active[0]?.state}`);
    if (job.overlap === "queue" && waiting !== undefined) return skip("overlap", `execution ${waiting.id} is queued already`);
    if (job.overlap === "replace")
      for (const execution of active) execution.kill({ by: "fleetcron", reason: "replaced by a later execution" });
  }
  const execution = deps.executions.begin(options.execution ?? deps.newId(), job, origin, options.attempt);
  const mustHold = job.onIsolation === "hold" && origin.type === "tick" && deps.session.current() === undefined;
  if (!mustWait && !mustHold && deps.slots.tryTake()) void launch(deps, execution);
  else void waitThenLaunch(deps, execution, active, mustHold);
}

async function waitThenLaunch(
  deps: CommonGateDeps,
  execution: ActiveExecution,
  before: readonly ActiveExecution[],
  mustHold: boolean,
): Promise<void> {
  const { job } = execution;
  const stop = new AbortController();
  execution.onKill = () => stop.abort();
  const skip = (reason: SkipReason) => {
    postVerdict(deps, job, execution.origin, { type: "skipped", reason });
    deps.executions.move(execution, "ended");
  };
  if (mustHold && !(await etcdIsBack(deps, job.holdForMs, stop.signal))) return skip(stop.signal.aborted ? "cancelled" : "isolated");
  await Promise.race([Promise.all(before.map((other) => other.ended)), aborted(stop.signal)]);

  const giveUp = deps.clock.after(job.misfireWindowMs, () => stop.abort());
  const taken = await deps.slots.take(stop.signal);
  giveUp();
  execution.onKill = undefined;
  const cancelled = execution.killRequest !== undefined || !deps.isCurrent(execution);
  if (taken && !cancelled) return launch(deps, execution);
  if (taken) deps.slots.release();
  skip(cancelled ? "cancelled" : "capacity");
}

async function etcdIsBack(deps: CommonGateDeps, holdForMs: number, signal: AbortSignal): Promise<boolean> {
  const stop = new AbortController();
  const cancel = deps.clock.after(holdForMs, () => stop.abort());
  try {
    await deps.session.trusted(AbortSignal.any([signal, stop.signal]));
    return true;
  } catch {
    return false;
  } finally {
    cancel();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
