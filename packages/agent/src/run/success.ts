/** Whether an attempt succeeded and, if not, whether another may follow. Pure. */
import type { Random } from "fleetcron-shared/base/random";
import { FAILURES } from "fleetcron-shared/model/failures";
import type { Job, Retry } from "fleetcron-shared/model/job";
import type { Outcome } from "fleetcron-shared/model/record";

/** Whether one of several hosts has done its part. */
export function isDone(job: Pick<Job, "successExitCodes">, outcome: Outcome): boolean {
  return outcome.type === "exit" && job.successExitCodes.includes(outcome.code);
}

/** Success = an accepted exit code and, where the job asks for it, output that matches. */
export function isSuccess(job: Pick<Job, "successExitCodes" | "successOutput">, outcome: Outcome, outputTail: string): boolean {
  if (!isDone(job, outcome)) return false;
  return job.successOutput === undefined || new RegExp(job.successOutput, "m").test(outputTail);
}

/** Killed, lost and lock-lost attempts are not retried: somebody or something wanted them to end. Nor is what would fail the same way again. */
export function mayRetry(outcome: Outcome): boolean {
  if (outcome.type === "failed") return FAILURES[outcome.code].retry;
  return (
    outcome.type === "unreachable" ||
    outcome.type === "exit" ||
    outcome.type === "signal" ||
    outcome.type === "timeout" ||
    outcome.type === "spawnFailed" ||
    outcome.type === "oom"
  );
}

/** The wait after failed attempt number `attempt` (from 1). `jitter` is the share of the delay that is random. */
export function retryDelayMs(deps: { random: Pick<Random, "next"> }, retry: Retry, attempt: number): number {
  const full = Math.min(retry.maxDelayMs, retry.backoff === "fixed" ? retry.delayMs : retry.delayMs * 2 ** Math.min(attempt - 1, 30));
  return full * (1 - retry.jitter * deps.random.next());
}
