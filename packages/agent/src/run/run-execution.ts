/**
 * A whole execution: attempts until one succeeds, none is left, or somebody ends it; one record each. It holds a capacity slot while a
 * process runs, not while it waits for the next attempt. Etcd away: attempts go on, records wait in the outbox.
 */
import type { Random } from "fleetcron-shared/base/random";
import type { Outbox } from "../report/outbox.ts";
import { type AttemptDeps, type AttemptEnd, runAttempt } from "./attempt.ts";
import type { ActiveExecution } from "./executions.ts";
import { type Host, recordOf } from "./record.ts";
import type { Slots } from "./slots.ts";
import { mayRetry, retryDelayMs } from "./success.ts";

export type RunDeps = AttemptDeps & {
  readonly random: Random;
  readonly outbox: Outbox;
  readonly slots: Slots;
  readonly host: Host;
  /** Whether the execution's job still has the form in which it began: not deleted, paused or edited meanwhile. Always true for orders. */
  readonly isCurrent: (execution: ActiveExecution) => boolean;
  /** The agent stops: nothing new begins; what waits stays in the journal for the next agent process to account for. */
  readonly stopping: AbortSignal;
  readonly onSuccess: (execution: ActiveExecution) => void;
};

/** Runs a claimed execution whose slot is already taken. Resolves when its last record is in the outbox; never rejects for what the command does. */
export async function runExecution(deps: RunDeps, execution: ActiveExecution): Promise<void> {
  for (;;) {
    const end = await runAttempt(deps, execution).finally(() => deps.slots.release());
    const attemptsLeft = execution.attempt <= execution.job.retry.limit;
    const again = !end.success && attemptsLeft && mayRetry(end.outcome) && execution.killRequest === undefined;
    post(deps, execution, end, !again);
    if (end.success) deps.onSuccess(execution);
    if (!again) return deps.executions.move(execution, "ended");

    deps.executions.move(execution, "waiting");
    const stopped = await waitForNext(deps, execution);
    if (deps.stopping.aborted) return;
    execution.attempt++;
    if (stopped !== undefined) {
      postUnrun(deps, execution, stopped);
      return deps.executions.move(execution, "ended");
    }
    execution.beginMs = undefined;
    execution.pid = undefined;
  }
}

/** Waits for the retry delay and then for a slot; says why the next attempt must not be, if so. */
async function waitForNext(deps: RunDeps, execution: ActiveExecution): Promise<AttemptEnd["outcome"] | undefined> {
  const wait = execution.untilUnwanted(deps.isCurrent);
  await deps.clock.sleep(retryDelayMs(deps, execution.job.retry, execution.attempt), wait.signal);
  const taken = await deps.slots.take(wait.signal);
  wait.done();
  if (!wait.signal.aborted) return undefined;
  if (taken) deps.slots.release();
  if (execution.killRequest !== undefined) return { type: "killed", ...execution.killRequest };
  return { type: "skipped", reason: "cancelled", detail: "the job was edited, paused or deleted before the retry" };
}

function post(deps: RunDeps, execution: ActiveExecution, end: AttemptEnd, finalAttempt: boolean): void {
  const { command } = execution.job.run;
  const record = recordOf(deps.host, {
    execution: execution.id,
    job: execution.job,
    origin: execution.origin,
    attempt: execution.attempt,
    finalAttempt,
    outcome: end.outcome,
    success: end.success,
    endMs: end.endMs,
    beginMs: execution.beginMs,
    durationMs: end.durationMs,
    pid: execution.pid,
    fence: execution.fence,
    command: end.command,
    user: command.user,
    output: end.output,
  });
  deps.outbox.post({ record, procKey: end.procKey, lock: finalAttempt ? execution.lock : undefined });
}

/** The record of an attempt that never began. */
function postUnrun(deps: RunDeps, execution: ActiveExecution, outcome: AttemptEnd["outcome"]): void {
  const { id, job, origin, attempt, fence, lock } = execution;
  const facts = { execution: id, job, origin, attempt, fence, finalAttempt: true, outcome, success: false, endMs: deps.clock.now() };
  deps.outbox.post({ record: recordOf(deps.host, facts), lock });
}
