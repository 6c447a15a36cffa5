/** What the leader's services tell of their work, for whoever counts it. */
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { ExecutionRecord } from "fleetcron-shared/model/record";

export type Observe = {
  /** All dispatches are written; the first change was so long ago. */
  dispatched(lagMs: number): void;
  filed(records: readonly ExecutionRecord[]): void;
  /** Ticks that were found missed, by the reason. */
  missed(reason: string, ticks: number): void;
  /** A tick of a cluster-wide job has run in a second execution. */
  duplicate(): void;
  /** A first attempt has begun late. */
  late(): void;
  /** A run of a pipeline was moved on. */
  advanced(before: RunDocument, after: RunDocument): void;
  /** A try to deliver a notification. */
  tried(result: "delivered" | "again" | "failed"): void;
  /** How many deliveries are open. */
  waiting(count: number): void;
};
