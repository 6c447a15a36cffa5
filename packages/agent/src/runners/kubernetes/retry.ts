/** Requests that are made again while the API is away or busy. */
import { backoffMs } from "fleetcron-shared/base/backoff";
import type { Clock } from "fleetcron-shared/base/clock";
import type { Random } from "fleetcron-shared/base/random";
import { ApiFailure } from "./api-failure.ts";
import { isTransient } from "./failed.ts";
import type { Timing } from "./timing.ts";

export type RetryDeps = { readonly clock: Clock; readonly random: Pick<Random, "next">; readonly timing: Timing };

/** The wait before the next request, when `attempt` (from 1) failed; the server's Retry-After is kept. */
export async function pause(deps: RetryDeps, attempt: number, failure: ApiFailure | undefined, signal: AbortSignal): Promise<void> {
  const wait = Math.max(backoffMs(deps, deps.timing.backoff, attempt), Math.min(failure?.retryAfterMs ?? 0, 60_000));
  await deps.clock.sleep(wait, signal);
}

/**
 * Repeats `request` until it is answered, `signal` aborts or `forMs` have passed (default: for ever); then the last failure is thrown. `request` must be
 * one that may be carried out twice.
 */
export async function persist<T>(
  deps: RetryDeps,
  request: () => Promise<T>,
  signal: AbortSignal,
  forMs = Number.POSITIVE_INFINITY,
): Promise<T> {
  const began = deps.clock.mono();
  for (let attempt = 1; ; attempt++) {
    try {
      return await request();
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure) || !isTransient(thrown) || signal.aborted || deps.clock.mono() - began >= forMs) throw thrown;
      await pause(deps, attempt, thrown, signal);
      if (signal.aborted) throw thrown;
    }
  }
}
