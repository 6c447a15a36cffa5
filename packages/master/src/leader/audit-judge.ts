/**
 * What is to be said of a tick that nobody has reported when its grace is over: that it is waited for, that it was missed and why, or nothing. Pure. The first
 * statement that holds is the judgement. Nothing is said as long as a node that may have it is there and may still report: it runs, waits, has just come back,
 * or is delivering what it had kept back.
 */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import type { Claim } from "fleetcron-shared/model/facts";
import type { MissReason } from "fleetcron-shared/model/record";
import type { AuditNode } from "./audit-nodes.ts";

export type AuditTarget = {
  readonly dueMs: EpochMs;
  readonly graceMs: number;
  readonly misfireWindowMs: number;
  /** From when until when the job has the form that the tick is of. */
  readonly formMs: EpochMs;
  readonly formUntilMs: EpochMs;
  /** Of a `common` job: the node that the tick was for there. Undefined: the tick is one for the whole cluster. */
  readonly node?: string | undefined;
  /** It waits for the runs before it to end, however long they take. */
  readonly queues: boolean;
};

export type AuditFacts = {
  readonly nowMs: EpochMs;
  /** Nodes that the rule was for at that time; of a tick on one node only that one, if it is still registered. */
  readonly nodes: readonly AuditNode[];
  /** Of a tick for the whole cluster. */
  readonly claim: Pick<Claim, "node" | "verdict"> | undefined;
  /** Whether a process for this tick is shown by the node; `job`: one of its job at least. */
  runs(node: string, what: "tick" | "job"): boolean;
};

/** `exempt`: it fell into the moment in which the job was changed or the node was taken over: it may not have been due there any more, or not yet. */
export type Judgement =
  | { readonly type: "wait" }
  | { readonly type: "covered" }
  | { readonly type: "exempt" }
  | { readonly type: "missed"; readonly reason: MissReason };

export type JudgeTimes = {
  /** So long after a node has gone its executions may yet be found lost. */
  readonly lostAfterMs: number;
  /** So long a change of a job or node may be on its way to the agents, and so far their clocks may be behind. */
  readonly settleMs: number;
  /** Whoever delivers what it had kept back is waited for while it goes on, and so long after. */
  readonly catchUpMs: number;
};
export const JUDGE_TIMES = { settleMs: 5000, catchUpMs: 15_000, spareMs: 5000 } as const;
/** Whatever is waited for, after so long it is over. */
export const MAX_WAIT_MS = 86_400_000;

const WAIT: Judgement = { type: "wait" };

export function judge(target: AuditTarget, facts: AuditFacts, times: JudgeTimes): Judgement {
  const { nowMs, nodes, claim } = facts;
  const { dueMs } = target;
  const isOver = nowMs - dueMs > MAX_WAIT_MS + target.graceMs;
  if (claim?.verdict !== undefined) return { type: "covered" };
  if (nodes.some((node) => facts.runs(node.id, "tick"))) return isOver ? missed("unknown") : WAIT;
  if (claim !== undefined) {
    const holder = nodes.find(({ id }) => id === claim.node);
    if (facts.runs(claim.node, "tick")) return isOver ? missed("unknown") : WAIT;
    // The node speaks for it, or the undertaker in its place.
    if (holder !== undefined && !isOver && (holder.alive !== undefined || nowMs < goneAt(holder, times))) return WAIT;
    return missed("unknown");
  }
  const [first] = nodes;
  if (first === undefined) return target.node === undefined ? missed("noMatchingNode") : { type: "exempt" };
  if (!isOver && nodes.some((node) => mayStillTell(target, node, facts, times))) return WAIT;
  const wasThere = nodes.filter((node) => node.alive !== undefined && !wasAway(node, dueMs));
  if (wasThere.length === 0) return missed("nodeOffline");
  // It may have died before that: its session outlives it, also by more than its TTL when etcd changes its leader.
  if (nowMs < dueMs + target.graceMs + times.lostAfterMs + JUDGE_TIMES.spareMs) return WAIT;
  // Where a clock is behind ours, the change came before the tick.
  if (dueMs > target.formUntilMs - times.settleMs) return { type: "exempt" };
  const isTakingOver = wasThere.every((node) => dueMs < Math.max(target.formMs, node.sinceMs) + times.settleMs);
  return isTakingOver ? { type: "exempt" } : missed("unknown");
}

function missed(reason: MissReason): Judgement {
  return { type: "missed", reason };
}

function mayStillTell(target: AuditTarget, node: AuditNode, { nowMs, runs }: AuditFacts, times: JudgeTimes): boolean {
  const { dueMs, graceMs } = target;
  if (node.alive === undefined) return dueMs <= node.turnedMs && nowMs < goneAt(node, times);
  const sinceMs = Math.max(dueMs, node.turnedMs);
  if (nowMs < sinceMs + graceMs) return true;
  if (nowMs < node.caughtUpMs + times.catchUpMs) return true;
  if (target.queues && runs(node.id, "job")) return true;
  // It may wait for room, or its turn: the agent gives up after the window.
  return node.alive.queued > 0 && nowMs < sinceMs + target.misfireWindowMs + graceMs;
}

/** From then on nothing more is said by the node or about what it ran. */
function goneAt(node: AuditNode, { lostAfterMs }: JudgeTimes): EpochMs {
  return node.turnedMs + lostAfterMs + JUDGE_TIMES.spareMs;
}

/** As far as is known: whether the node was not there at that time. */
function wasAway(node: AuditNode, dueMs: EpochMs): boolean {
  return dueMs < node.turnedMs || dueMs < (fromIso(node.alive?.startedAt ?? "") ?? 0);
}
