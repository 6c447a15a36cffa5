/** The plain values of the keys that agents and masters exchange through etcd (docs/keys.md lists who writes which). */
import type { JobSpec } from "./job-spec.ts";

/** `nodes/<node>`: the agent writes all but `labels.api` and `drain` at start; the API owns those two. */
export type NodeInfo = {
  readonly v: 1;
  readonly id: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  /** Labels from the agent's configuration and the built-in `fleetcron.io/…` ones. */
  readonly agentLabels: Readonly<Record<string, string>>;
  /** Labels set by operators; they win. An empty value hides the agent's label. */
  readonly apiLabels: Readonly<Record<string, string>>;
  readonly capacity: number;
  readonly version: string;
  /** First registration. */
  readonly createdAt: string;
  readonly startedAt: string;
  readonly bootId: string;
  readonly pid: number;
  /** Set while the node takes no new work. */
  readonly drain?: { readonly by: string; readonly at: string };
};

/** The labels that targets are matched against. */
export function effectiveLabels(node: Pick<NodeInfo, "agentLabels" | "apiLabels">): Readonly<Record<string, string>> {
  const merged: Record<string, string> = { ...node.agentLabels };
  for (const [name, value] of Object.entries(node.apiLabels)) {
    if (value === "") delete merged[name];
    else merged[name] = value;
  }
  return merged;
}

/** `alive/<node>` (session lease): the node is online while it exists. */
export type Alive = {
  readonly v: 1;
  readonly node: string;
  /** Differs for each agent process; tells a duplicate id from a restart. */
  readonly instance: string;
  readonly startedAt: string;
  readonly running: number;
  readonly queued: number;
  /** The agent has applied every change of its dispatches up to this revision: nothing older fires any more. */
  readonly observedRevision: number;
};

/** `dispatch/<node>/<group>/<job>`: the job as this node must run it. */
export type Dispatch = {
  readonly v: 1;
  readonly group: string;
  readonly id: string;
  /** mod revision of `jobs/<group>/<id>`. */
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly submittedAt: string;
  readonly spec: JobSpec;
  /** Per rule id that matches this node: the nodes that share its claims (interval, alone), sorted; absent for common jobs (then `[]`). */
  readonly rules: Readonly<Record<string, readonly string[]>>;
};

/** `orders/<node>/<order>` (TTL lease). */
export type Order =
  | {
      readonly v: 1;
      readonly type: "run";
      readonly id: string;
      readonly execution: string;
      readonly group: string;
      readonly job: string;
      readonly revision: number;
      readonly createdAt: string;
      readonly updatedAt: string;
      readonly submittedAt: string;
      readonly spec: JobSpec;
      readonly by: string;
      readonly orderedAt: string;
      readonly env?: Readonly<Record<string, string>>;
      /** A rerun of a lost execution: the tick and the attempt that it continues. */
      readonly rerun?: { readonly of: string; readonly ruleId?: string; readonly dueAt?: string; readonly attempt: number };
    }
  | {
      readonly v: 1;
      readonly type: "kill";
      readonly id: string;
      readonly execution: string;
      readonly by: string;
      readonly reason: string;
      readonly orderedAt: string;
    }
  | {
      readonly v: 1;
      readonly type: "reset";
      readonly id: string;
      readonly group: string;
      readonly job: string;
      readonly by: string;
      readonly orderedAt: string;
    };

/** `proc/<node>/<group>/<job>/<pid>` (session lease): a process that runs now. */
export type Proc = {
  readonly v: 1;
  readonly execution: string;
  readonly attempt: number;
  readonly pid: number;
  readonly startedAt: string;
  readonly ruleId?: string;
  readonly dueAt?: string;
  readonly orderId?: string;
  readonly fence?: number;
};

/** `claims/<group>/<job>/<rule>/<dueAt>`: who may run this tick; with `verdict` nobody runs it any more. */
export type Claim = { readonly v: 1; readonly node: string; readonly execution: string; readonly at: string; readonly verdict?: string };

/** `locks/<group>/<job>` (session lease): who runs this `alone` job now. */
export type Lock = {
  readonly v: 1;
  readonly node: string;
  readonly execution: string;
  readonly at: string;
  /** The holder works off a tick that was delayed; since when: ticks due before that or shortly after wait for it instead of counting an overlap. */
  readonly held?: string;
};

/** `locks/<group>/<job>/last`: the holder before, written when it gives the lock back; tells an overlap from a lock that came back late. */
export type LockLast = { readonly v: 1; readonly execution: string; readonly endedAt: string };

/** `locks/<group>/<job>/next` (session lease): who runs the `alone` job next; `replace` asks the holder to end now. */
export type LockNext = { readonly v: 1; readonly node: string; readonly execution: string; readonly at: string; readonly replace: boolean };

/** `stats/<group>/<job>`. */
export type JobStats = {
  readonly v: 1;
  readonly successCount: number;
  readonly failureCount: number;
  readonly skippedCount: number;
  readonly lostCount: number;
  /** Mean over attempts that ran; moving average with weight 1/16 after the first 16. */
  readonly avgTimeMs: number;
  /** Positive: successes in a row; negative: final failures in a row. */
  readonly streak: number;
  readonly last?: {
    readonly record: string;
    readonly success: boolean;
    readonly outcome: string;
    readonly endTime: string;
    readonly nodeId: string;
  };
};

/** `leader` (session lease). */
export type LeaderInfo = { readonly v: 1; readonly master: string; readonly since: string; readonly address: string };

/** `meta`: which cluster this prefix belongs to. */
export type ClusterMeta = { readonly v: 1; readonly cluster: string; readonly createdAt: string; readonly timezone: string };

/** `tokens/<id>`: an access token, hashed. */
export type TokenInfo = {
  readonly v: 1;
  readonly id: string;
  readonly sha256: string;
  readonly role: "viewer" | "operator" | "admin";
  readonly name: string;
  readonly createdAt: string;
};
