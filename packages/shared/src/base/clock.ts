/**
 * Time comes in as a dependency: the wall clock for the calendar, the monotonic clock for everything else.
 * The only file that reads the clocks or arms timers.
 */

/** Milliseconds since 1970 UTC. */
export type EpochMs = number;
/** Milliseconds on CLOCK_MONOTONIC: comparable between processes of one boot, unaffected by clock steps. */
export type MonoMs = number;

export type Clock = {
  now(): EpochMs;
  mono(): MonoMs;
  /** Calls `fn` once after `ms` (0 … 2^31−1); the returned function cancels it. */
  after(ms: number, fn: () => void): () => void;
  /** Calls `fn` in the next turn of the event loop: for the last moments before an instant that a timer would miss by a millisecond. */
  turn(fn: () => void): () => void;
  /** Resolves after `ms`, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** setTimeout fires at once beyond this. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  mono: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  after(ms, fn) {
    const timer = setTimeout(fn, Math.max(0, Math.min(ms, MAX_TIMER_MS)));
    return () => clearTimeout(timer);
  },
  turn(fn) {
    const immediate = setImmediate(fn);
    return () => clearImmediate(immediate);
  },
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = () => {
        cancel();
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const cancel = systemClock.after(ms, finish);
      signal?.addEventListener("abort", finish, { once: true });
    });
  },
};

/** RFC 3339 in UTC with milliseconds. */
export function toIso(ms: EpochMs): string {
  return new Date(ms).toISOString();
}

/** An RFC 3339 instant (offset required) as milliseconds, or undefined when it is none. */
export function fromIso(text: string): EpochMs | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/i.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
