/** A tick of an `interval` or `alone` job on its way through the gate of this node. */
import type { EpochMs, MonoMs } from "fleetcron-shared/base/clock";
import type { Job } from "fleetcron-shared/model/job";

export type ClusterTick = {
  readonly job: Job;
  readonly ruleId: string;
  readonly dueMs: EpochMs;
  /** What the tick's execution or verdict will be called here: a claim whose answer was lost is recognised by it, however often it is tried. */
  readonly execution: string;
  /** The nodes that share the claims of this rule. */
  readonly peers: readonly string[];
  readonly rank: number;
  /** Until when the tick may wait for etcd (`holdFor`, at most `misfireWindow`). */
  readonly holdUntilMono: MonoMs;
};
