/** The journal remembers that the agent was there: what came due later than its last word passed without it. Needs no etcd. */
import type { Clock } from "fleetcron-shared/base/clock";

/** It remembers at least so often. */
const HEARTBEAT_MS = 2000;

/** Calls `beat` now and then; the returned function ends that. */
export function keepHeartbeat(clock: Pick<Clock, "after">, beat: () => void): () => void {
  let cancel = () => {};
  const next = () => {
    beat();
    cancel = clock.after(HEARTBEAT_MS, next);
  };
  next();
  return () => cancel();
}
