/**
 * An execution: one run of a job because of one tick or one order, over all its attempts. Its states and edges (docs/states.md):
 * claimed → running → ended, running → waiting (retry delay) → running, claimed → ended (skipped).
 * It outlives the agent process: the next one takes it over from the journal in the state that it is in (recover.ts).
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Job } from "fleetcron-shared/model/job";
import type { Revision } from "fleetcron-shared/store/kv";

export type Origin =
  | { readonly type: "tick"; readonly ruleId: string; readonly dueMs: EpochMs }
  | {
      readonly type: "order";
      readonly orderId: string;
      readonly ruleId?: string | undefined;
      readonly dueMs?: EpochMs | undefined;
      readonly env?: Readonly<Record<string, string>> | undefined;
    };

export type ExecutionState = "claimed" | "running" | "waiting" | "ended";

/** From which state which may follow. */
export const EXECUTION_EDGES: Readonly<Record<ExecutionState, readonly ExecutionState[]>> = {
  claimed: ["running", "ended"],
  running: ["waiting", "ended"],
  waiting: ["running", "ended"],
  ended: [],
};

/** The lock of an `alone` job: its key and the fence that every later write must find. */
export type HeldLock = { readonly key: string; readonly fence: Revision; readonly epoch: number };

/** Who asked for the end of an execution. */
export type KillRequest = { readonly by: string; readonly reason: string };

export type Execution = {
  readonly id: string;
  readonly job: Job;
  readonly origin: Origin;
  readonly state: ExecutionState;
  readonly attempt: number;
  readonly lock: HeldLock | undefined;
  readonly fence: Revision | undefined;
  /** Of a job on several hosts: where an earlier attempt has succeeded; a further one leaves them out. */
  readonly doneHosts: readonly string[];
};

/** What the journal keeps of an execution in flight, beside its job: enough for the next agent process to go on with it, or to write its record. */
export type ExecutionTrace = {
  readonly state: ExecutionState;
  readonly origin: Origin;
  readonly attempt: number;
  readonly fence?: number | undefined;
  readonly lock?: Pick<HeldLock, "key" | "fence"> | undefined;
  readonly beginMs?: EpochMs | undefined;
  readonly pid?: number | undefined;
  /** Of a wait: until when. */
  readonly waitUntilMs?: EpochMs | undefined;
  readonly doneHosts?: readonly string[] | undefined;
  readonly bootId: string;
};
