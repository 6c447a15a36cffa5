/** The plain values of the keys that agents and masters exchange through etcd (docs/keys.md lists who writes which). */
import type { JobMeta } from "./job.ts";
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
  /** What secrets for this node are encrypted for (secret-box.ts). */
  readonly publicKey?: string;
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
  /** The agent knows that it is draining: nothing is begun that is not counted here. */
  readonly draining?: boolean;
  /** The agent has applied every change of its dispatches up to this revision: nothing older fires any more. */
  readonly observedRevision: number;
};

/** `dispatch/<node>/<group>/<job>`: the job as this node must run it. */
export type Dispatch = JobMeta & {
  readonly v: 1;
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
      /** Takes the place of a `run` order, at its key: a node that has not seen that one never runs it, and says so. */
      readonly v: 1;
      readonly type: "withdraw";
      readonly id: string;
      readonly execution: string;
      readonly group: string;
      readonly job: string;
      readonly revision: number;
      readonly name: string;
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
    }
  | LogOrder;

/**
 * Show an execution's log under `log/<execution>/<order>/`: a part of it, or with `follow` all that comes. Holds while its key exists
 * (the master's session lease): who no longer reads deletes it. Offsets count the bytes that the process has written, cut ones too.
 */
export type LogOrder = {
  readonly v: 1;
  readonly type: "log";
  readonly id: string;
  readonly execution: string;
  /** Default: the attempt that is on. */
  readonly attempt?: number;
  /** Show what comes, too: to the end of the execution, or with `single` of the attempt. */
  readonly follow: boolean;
  readonly single?: boolean;
  /** Begin at this offset (of the first attempt that is shown); default 0. */
  readonly from?: number;
  /** Begin so many lines before the end. */
  readonly tail?: number;
  /** End after so many lines. */
  readonly head?: number;
  /** End after so many bytes. */
  readonly bytes?: number;
  /** Show nothing, but tell where the first line with this text begins that begins at `from` or later (`up`: the last one before it). */
  readonly find?: { readonly text: string; readonly up: boolean };
  readonly by: string;
  readonly orderedAt: string;
};

/** `log/<execution>/<order>/<seq>` (a lease of a minute): a piece of a log, or a mark. */
export type LogChunk = {
  readonly v: 1;
  readonly attempt: number;
  /** [from, to) are the offsets of the bytes in here. */
  readonly from: number;
  readonly to: number;
  /** Bytes right before `from` that are left out: cut off the middle of a long log, or written faster than they may be shown. */
  readonly skipped?: { readonly bytes: number; readonly why: "cut" | "fast" };
  /** The bytes, in one of three forms: as they are when they are UTF-8, base64, or base64 of their raw deflate. */
  readonly text?: string;
  readonly base64?: string;
  readonly deflated?: string;
  /** How many bytes the process had written so far. */
  readonly size: number;
  /** This node has no log of this attempt (any more). */
  readonly gone?: boolean;
  /** The answer to `find`: whether `from` is where such a line begins; false: there is none. */
  readonly found?: boolean;
  /** Nothing follows: the part (or this attempt, when it was over before it was followed) is complete, or the execution has ended. */
  readonly end?: "part" | "ended";
};

/** `proc/<node>/<group>/<job>/<pid>` (session lease): a process that runs now; pid 0 (and the execution in place of it in the key): a session elsewhere, or an
 * execution that waits since before its agent was started again. */
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
  /** The holder works off a tick that was delayed: ticks due before then wait for it instead of counting an overlap. */
  readonly delaysUntil?: string;
};

/** `locks/<group>/<job>/last`: the holder before, written when it gives the lock back; tells an overlap from a lock that came back late. */
export type LockLast = { readonly v: 1; readonly execution: string; readonly endedAt: string };

/** `locks/<group>/<job>/next` (session lease): who runs the `alone` job next; `replace` asks the holder to end now. */
export type LockNext = { readonly v: 1; readonly node: string; readonly execution: string; readonly at: string; readonly replace: boolean };

/** A streak of failures. `told`: the notify rules that have told of it, by their hash. */
export type Failing = { readonly final: number; readonly attempts: number; readonly told?: readonly string[] };

/** `stats/<group>/<job>`. */
export type JobStats = {
  readonly v: 1;
  readonly successCount: number;
  readonly failureCount: number;
  readonly skippedCount: number;
  readonly lostCount: number;
  /** Mean over attempts that ran; moving average with weight 1/16 after the first 16. */
  readonly avgTimeMs: number;
  /** Mean distance of attempts that ran from `avgTimeMs`, moving likewise. */
  readonly deviationMs?: number;
  /** Ticks up to here the auditor has found missed, if they were. */
  readonly missedUntil?: string;
  /** Positive: successes in a row; negative: final failures in a row. */
  readonly streak: number;
  /** Jobs with notify rules: what fails now, by node; interval and alone jobs fail as one, under `*`. */
  readonly failing?: Readonly<Record<string, Failing>>;
  readonly last?: {
    readonly record: string;
    readonly success: boolean;
    readonly outcome: string;
    readonly endTime: string;
    readonly nodeId: string;
  };
};

/** `globals/<NAME>`: a variable of the cluster, set by a job's result or by an operator. `at` is the end of the attempt: a result that ended earlier does not replace it. */
export type GlobalValue = {
  readonly v: 1;
  readonly value: string;
  readonly at: string;
  /** Whose result it was; absent when an operator has set it. */
  readonly execution?: string;
  readonly job?: string;
  readonly node?: string;
  /** The token of the operator who has set it. */
  readonly by?: string;
};

/** `conditions/<node>/<type>`: what a job's result says of its node. */
export type NodeCondition = {
  readonly v: 1;
  readonly status: string;
  readonly message?: string;
  /** The end of the attempt that said so. */
  readonly at: string;
  readonly execution: string;
  readonly job: string;
};

/**
 * `audited`: every tick whose grace was over at `until` has been looked at, but for those of `open`, which may still be told of.
 * Written by the leader's auditor.
 */
export type Audited = {
  readonly v: 1;
  readonly until: string;
  readonly open: readonly { readonly job: string; readonly rule: string; readonly dueAt: string; readonly node?: string }[];
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
  readonly role: Role;
  readonly name: string;
  readonly createdAt: string;
  /** The only groups whose jobs, pipelines and secrets it reaches; absent: all, and what belongs to the whole cluster. */
  readonly groups?: readonly string[];
  readonly expiresAt?: string;
  readonly createdBy?: string;
  /** Kept for a while, so that its use can be refused by name. */
  readonly revokedAt?: string;
  readonly revokedBy?: string;
  /** To the hour. */
  readonly lastUsedAt?: string;
};

export const ROLES = ["viewer", "operator", "admin"] as const;
/** Each may what the one before may, and more. */
export type Role = (typeof ROLES)[number];
