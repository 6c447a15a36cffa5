/**
 * Who tries first for a tick of a cluster-wide job: the peers in an order that differs from tick to tick (a hash of job, due time and node),
 * preferred nodes before the others. The first tries at once, the k-th waits k × RANK_STEP_MS, so a dead first choice costs one step. Pure.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { hash32 } from "fleetcron-shared/base/hash";

export const RANK_STEP_MS = 150;

/** This node's place among the peers, from 0. A node that is not among them comes last. */
export function rankOf(nodeId: string, peers: readonly string[], prefer: readonly string[], jobKey: string, dueMs: EpochMs): number {
  const score = (node: string) => hash32(`${jobKey}@${dueMs}@${node}`);
  const preference = (node: string) => (prefer.includes(node) ? prefer.indexOf(node) : prefer.length);
  const own = { preference: preference(nodeId), score: score(nodeId) };
  let rank = 0;
  for (const peer of peers) {
    if (peer === nodeId) continue;
    const theirs = { preference: preference(peer), score: score(peer) };
    const before =
      theirs.preference !== own.preference
        ? theirs.preference < own.preference
        : theirs.score !== own.score
          ? theirs.score < own.score
          : peer < nodeId;
    if (before) rank++;
  }
  return rank;
}

/** The wait of the last rank, after which a tick that nobody could take may be given a verdict. */
export function lastRankMs(peers: readonly string[]): number {
  return peers.length * RANK_STEP_MS;
}
