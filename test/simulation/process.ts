/**
 * A simulated process of the product: it may be stopped and continued (SIGSTOP, SIGCONT), and killed in any instant. Whatever reaches it from outside (timers,
 * answers, messages) passes through `deliver`; what is dead is never woken again, whatever it still holds.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { VirtualTime } from "./virtual-time.ts";

/** When simulated time begins: a Monday. */
export const EPOCH_MS = Date.UTC(2027, 0, 4);

export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #time: VirtualTime;
  #alive = true;
  #pausedUntil = 0;
  readonly #onDeath: (() => void)[] = [];

  /** `offsetMs`: how far the wall clock of its host is ahead. */
  constructor(time: VirtualTime, name: string, offsetMs: () => number) {
    this.#time = time;
    this.name = name;
    const after = (ms: number, fn: () => void) => this.deliver(time.nowMs + Math.max(0, ms), fn);
    this.clock = {
      now: () => EPOCH_MS + Math.floor(time.nowMs + offsetMs()),
      mono: () => 1_000_000 + time.nowMs,
      after,
      turn: (fn) => after(1, fn),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve();
          const finish = () => {
            cancel();
            signal?.removeEventListener("abort", finish);
            resolve();
          };
          const cancel = after(ms, finish);
          signal?.addEventListener("abort", finish, { once: true });
        }),
    };
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  get isPaused(): boolean {
    return this.#time.nowMs < this.#pausedUntil;
  }

  /** Calls `fn` in this process at the instant, or when it is continued after that; never when it has died. */
  deliver(atMs: number, fn: () => void): () => void {
    const run = () => {
      if (!this.#alive) return;
      if (this.isPaused) cancel = this.#time.at(this.#pausedUntil, run);
      else fn();
    };
    let cancel = this.#time.at(atMs, run);
    return () => cancel();
  }

  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#time.nowMs + ms);
  }

  /** Nothing of it happens any more, not even the rest of the turn that it is in, as far as anybody outside can see. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const fn of this.#onDeath.splice(0)) fn();
  }

  /** What the system does when the process is gone. */
  onDeath(fn: () => void): void {
    this.#onDeath.push(fn);
  }
}
