/** Which nodes an order may go to, and in which order of preference. */
import type { Job } from "fleetcron-shared/model/job";
import { matchesTarget } from "fleetcron-shared/model/target";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Views } from "../views.ts";

export type Candidate = { readonly id: string; readonly online: boolean; readonly draining: boolean; readonly running: number };

/** The registered nodes that match any rule of `job` (or only the rule `ruleId`, while it exists), by id. */
export function matchingNodes(views: Pick<Views, "nodes" | "alive">, keys: Keys, job: Job, ruleId?: string | undefined): Candidate[] {
  const named = job.rules.filter((rule) => rule.id === ruleId);
  const rules = named.length > 0 ? named : job.rules;
  const found: Candidate[] = [];
  for (const [, { info, labels }] of views.nodes.entries()) {
    if (!rules.some((rule) => matchesTarget(rule.target, { id: info.id, labels }))) continue;
    const alive = views.alive.get(keys.alive(info.id));
    found.push({
      id: info.id,
      online: alive !== undefined,
      draining: info.drain !== undefined,
      running: (alive?.running ?? 0) + (alive?.queued ?? 0),
    });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Least busy first, then those that a rule prefers, then by `tieBreak`. */
export function preferredFirst(job: Job, candidates: readonly Candidate[], tieBreak: (node: Candidate) => number): Candidate[] {
  const preferred = job.rules.flatMap((rule) => rule.target.prefer);
  const rank = (node: Candidate) => {
    const position = preferred.indexOf(node.id);
    return position < 0 ? preferred.length : position;
  };
  return candidates.toSorted((a, b) => a.running - b.running || rank(a) - rank(b) || tieBreak(a) - tieBreak(b));
}
