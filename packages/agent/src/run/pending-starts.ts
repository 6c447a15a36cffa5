/**
 * Starts that are on their way to the kernel. A change of the plan is acknowledged only after those of the old plan have begun, and during
 * a burst reports wait a little, so that they do not take the processor from the starts.
 */
import type { Clock } from "fleetcron-shared/base/clock";

/** More pending starts than this are a burst. */
const BURST = 8;
const LONGEST_CALM_MS = 600;
const LOOK_MS = 20;

export class PendingStarts {
  readonly #pending = new Set<Promise<void>>();

  /** Notes that a process is about to be started; call the returned function once it has been, or will not be. */
  begin(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pending.add(promise);
    return () => {
      this.#pending.delete(promise);
      resolve();
    };
  }

  /** Resolves at once, or during a burst when it is over or has lasted for a while. */
  async calm(clock: Pick<Clock, "mono" | "sleep">): Promise<void> {
    const untilMono = clock.mono() + LONGEST_CALM_MS;
    while (this.#pending.size > BURST && clock.mono() < untilMono) await clock.sleep(LOOK_MS);
  }

  /** Resolves when the starts that are pending now are over. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
