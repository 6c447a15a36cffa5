/** A clock that only moves when told to, for tests and simulation. Both clocks move together, except by `stepWall`. */
import { type Clock, systemClock } from "./clock.ts";

export type ManualClock = Clock & {
  /** Moves on by `ms`, running the timers that fall due in their order; after each, all work that it made ready is done. */
  advance(ms: number): Promise<void>;
  /** Moves on without running timers, as when the process was stopped: they are late, and run at the next `advance`. */
  stall(ms: number): void;
  /** Sets the wall clock forward or back; the monotonic one does not notice. */
  stepWall(ms: number): void;
  /** Timers that are armed. */
  readonly timers: number;
};

type Timer = { readonly at: number; readonly order: number; readonly fn: () => void };

export function createManualClock(startMs = Date.UTC(2027, 0, 1)): ManualClock {
  const timers = new Set<Timer>();
  let mono = 1000;
  let wallOffset = startMs - mono;
  let orders = 0;

  function after(ms: number, fn: () => void): () => void {
    const timer = { at: mono + Math.max(0, ms), order: orders++, fn };
    timers.add(timer);
    return () => timers.delete(timer);
  }

  function nextDue(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) {
      if (timer.at > until) continue;
      if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }

  return {
    now: () => mono + wallOffset,
    mono: () => mono,
    after,
    turn: (fn) => after(1, fn),
    sleep(ms, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const finish = () => {
          cancel();
          signal?.removeEventListener("abort", finish);
          resolve();
        };
        const cancel = after(ms, finish);
        signal?.addEventListener("abort", finish, { once: true });
      });
    },
    async advance(ms) {
      const until = mono + ms;
      await settled();
      for (let timer = nextDue(until); timer; timer = nextDue(until)) {
        timers.delete(timer);
        mono = Math.max(mono, timer.at);
        timer.fn();
        await settled();
      }
      mono = Math.max(mono, until);
    },
    stall(ms) {
      mono += ms;
    },
    stepWall(ms) {
      wallOffset += ms;
    },
    get timers() {
      return timers.size;
    },
  };
}

/** Everything that is ready has run: a real timer comes after all microtasks, however deep. */
function settled(): Promise<void> {
  return systemClock.sleep(0);
}
