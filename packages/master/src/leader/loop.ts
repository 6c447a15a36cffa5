/**
 * A loop of rounds that run when there is something to do: wake-ups coalesce, one round at a time, a failed round is repeated after a pause.
 * Level-triggered: a round looks at what is and what should be, so a lost or doubled wake-up does no harm. Etcd away: it tries again.
 */
import { backoffMs } from "fleetcron-shared/base/backoff";
import type { Clock } from "fleetcron-shared/base/clock";
import { asAppError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";

export type Loop = {
  /** There is something to do (again). */
  kick(): void;
  /** Resolves when the round under way has ended; none begins after it. */
  stop(): Promise<void>;
};

export type LoopDeps = { clock: Pick<Clock, "sleep">; random: Pick<Random, "next">; log: Log };

const BACKOFF = { firstMs: 50, maxMs: 3000 };

/** Runs `round` after each kick until `ended` aborts or `stop` is called; the signal given to it is aborted by both. */
export function startLoop(deps: LoopDeps, ended: AbortSignal, round: (signal: AbortSignal) => Promise<void>): Loop {
  const stopping = new AbortController();
  const signal = AbortSignal.any([ended, stopping.signal]);
  let wanted = false;
  let wake: (() => void) | undefined;
  let failures = 0;

  function kick(): void {
    wanted = true;
    wake?.();
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      if (!wanted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
        continue;
      }
      wanted = false;
      try {
        await round(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        wanted = true;
        failures += 1;
        const failure = asAppError(error);
        deps.log[failure.row.retry ? "warn" : "error"]({ err: failure, code: failure.code, failures }, "round failed, trying again");
        await deps.clock.sleep(backoffMs(deps, BACKOFF, failures), signal);
      }
    }
  }

  signal.addEventListener("abort", () => wake?.(), { once: true });
  const done = run();
  return {
    kick,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
