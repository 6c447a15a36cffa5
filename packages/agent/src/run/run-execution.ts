/**
 * A whole execution: attempts until one succeeds, none is left, or somebody ends it; one record each. It holds a capacity slot while a
 * process runs, not while it waits for the next attempt. Etcd away: attempts go on, records wait in the outbox.
 */
import type { Random } from "fleetcron-shared/base/random";
import type { Outbox } from "../report/outbox.ts";
import { type AttemptDeps, type AttemptEnd, resumeAttempt, runAttempt } from "./attempt.ts";
import type { ActiveExecution } from "./executions.ts";
import { type Host, hostRecord, onlyHostOf, recordOf } from "./record.ts";
import type { Slots } from "./slots.ts";
import { isDone, mayRetry, retryDelayMs } from "./success.ts";
import type { Running } from "./supervisor.ts";

export type RunDeps = AttemptDeps & {
  readonly random: Random;
  readonly outbox: Outbox;
  readonly slots: Slots;
  readonly host: Host;
  /** Whether the execution's job still has the form in which it began: not deleted, paused or edited meanwhile. Always true for orders. */
  readonly isCurrent: (execution: ActiveExecution) => boolean;
  /** The agent stops: nothing new begins; what waits stays in the journal for the next agent process. */
  readonly stopping: AbortSignal;
  readonly onSuccess: (execution: ActiveExecution) => void;
};

/**
 * Runs a claimed execution whose slot is already taken, or goes on with one that an earlier agent process has begun: with its process (`running`, whose slot is
 * taken) or with its wait (state `waiting`). Resolves when its last record is in the outbox; never rejects for what the command does.
 */
export async function runExecution(deps: RunDeps, execution: ActiveExecution, running?: Running): Promise<void> {
  let attempt = running;
  for (;;) {
    if (execution.state === "waiting" && !(await untilNext(deps, execution))) return;
    const next = attempt === undefined ? runAttempt(deps, execution) : resumeAttempt(deps, execution, attempt);
    attempt = undefined;
    const end = await next.finally(() => deps.slots.release());
    const attemptsLeft = execution.attempt <= execution.job.retry.limit;
    const again = !end.success && attemptsLeft && mayRetry(end.outcome) && execution.killRequest === undefined;
    post(deps, execution, end, !again);
    deps.passPoint("recorded");
    if (end.success) deps.onSuccess(execution);
    execution.doneHosts = [
      ...execution.doneHosts,
      ...end.hosts.filter(({ outcome }) => isDone(execution.job, outcome)).map(({ host }) => host),
    ];
    const delayMs = Math.max(retryDelayMs(deps, execution.job.retry, execution.attempt), end.retryAfterMs);
    if (again) execution.waitUntilMs = deps.clock.now() + delayMs;
    deps.executions.move(execution, again ? "waiting" : "ended");
    void deps.journal.committed().then(() => {
      deps.passPoint("recordKept");
      end.forget();
    });
    if (!again) return;
  }
}

/** Waits for the retry delay and then for a slot; false when there will be no next attempt. */
async function untilNext(deps: RunDeps, execution: ActiveExecution): Promise<boolean> {
  const stopped = await waitForNext(deps, execution);
  if (deps.stopping.aborted) return false;
  execution.attempt++;
  execution.beginMs = undefined;
  execution.pid = undefined;
  if (stopped === undefined) return true;
  postUnrun(deps, execution, stopped);
  deps.executions.move(execution, "ended");
  return false;
}

/** Says why the next attempt must not be, if so. */
async function waitForNext(deps: RunDeps, execution: ActiveExecution): Promise<AttemptEnd["outcome"] | undefined> {
  const wait = execution.untilUnwanted(deps.isCurrent);
  await deps.clock.sleep(Math.max(0, (execution.waitUntilMs ?? 0) - deps.clock.now()), wait.signal);
  const taken = await deps.slots.take(wait.signal);
  wait.done();
  deps.procs.waited(execution.id);
  if (!wait.signal.aborted) return undefined;
  if (taken) deps.slots.release();
  if (execution.killRequest !== undefined) return { type: "killed", ...execution.killRequest };
  return { type: "skipped", reason: "cancelled", detail: "the job was edited, paused or deleted before the retry" };
}

function post(deps: RunDeps, execution: ActiveExecution, end: AttemptEnd, finalAttempt: boolean): void {
  const { forget: _, procKey, hosts, retryAfterMs: _later, ...facts } = end;
  const record = recordOf(deps.host, {
    ...facts,
    execution: execution.id,
    job: execution.job,
    origin: execution.origin,
    attempt: execution.attempt,
    finalAttempt,
    beginMs: execution.beginMs,
    pid: execution.pid,
    fence: execution.fence,
    user: execution.job.run.command?.user,
    host: onlyHostOf(execution.job),
  });
  for (const one of hosts) deps.outbox.post({ record: hostRecord(record, execution.job, one) });
  deps.outbox.post({ record, procKey, lock: finalAttempt ? execution.lock : undefined });
}

/** The record of an attempt that never began. */
function postUnrun(deps: RunDeps, execution: ActiveExecution, outcome: AttemptEnd["outcome"]): void {
  const { id, job, origin, attempt, fence, lock } = execution;
  const facts = { execution: id, job, origin, attempt, fence, finalAttempt: true, outcome, success: false, endMs: deps.clock.now() };
  deps.outbox.post({ record: recordOf(deps.host, facts), lock });
}
