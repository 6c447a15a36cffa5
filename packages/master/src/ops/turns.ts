/** Long work in slices, so that requests, watches and the session's keep-alives get their turn in between. */
import type { Clock } from "fleetcron-shared/base/clock";

const SLICE_MS = 10;

/** Awaited between two pieces of work, it lets others in whenever the slice is used up. */
export function createTurns(clock: Pick<Clock, "mono" | "sleep">): () => Promise<void> {
  let sliceEnd = clock.mono() + SLICE_MS;
  return async () => {
    if (clock.mono() < sliceEnd) return;
    await clock.sleep(0);
    sliceEnd = clock.mono() + SLICE_MS;
  };
}
