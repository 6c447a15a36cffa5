/**
 * Which dispatches a job should have: per node the rules that match it, with the peers that share its claims. Pure. What targets select is
 * kept per distinct target, because thousands of jobs share a few of them; a change of a node touches only the targets that see it.
 */
import type { Job, Rule } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { matchesTarget, type TargetNode } from "fleetcron-shared/model/target";

/** Nodes that get the same dispatch value. `rules` is the JSON text of `Dispatch.rules`. */
export type DesiredGroup = { readonly rules: string; readonly nodes: readonly string[] };

type Selection = { readonly target: Rule["target"]; readonly jobs: Set<JobKey>; nodes: readonly string[] | undefined };

export type TargetIndex = {
  /** Takes in a new or changed job. */
  putJob(job: Job): void;
  removeJob(key: JobKey): void;
  /** Takes in a node (undefined: it is forgotten); returns the jobs whose dispatches may differ now. */
  putNode(id: string, node: TargetNode | undefined): Set<JobKey>;
  /** What `key` should have; empty for an unknown job. */
  desired(key: JobKey): readonly DesiredGroup[];
};

export function createTargetIndex(): TargetIndex {
  const jobs = new Map<JobKey, { readonly job: Job; readonly selections: readonly Selection[] }>();
  const selections = new Map<string, Selection>();
  const nodes = new Map<string, TargetNode>();

  function select(job: Job, rule: Rule): Selection {
    const { nodes: ids, labels, exclude } = rule.target;
    const text = JSON.stringify([ids, labels, exclude]);
    let selection = selections.get(text);
    if (selection === undefined) {
      selection = { target: rule.target, jobs: new Set(), nodes: undefined };
      selections.set(text, selection);
    }
    selection.jobs.add(job.key);
    return selection;
  }

  function nodesOf(selection: Selection): readonly string[] {
    selection.nodes ??= [...nodes.values()]
      .filter((node) => matchesTarget(selection.target, node))
      .map((node) => node.id)
      .sort();
    return selection.nodes;
  }

  function removeJob(key: JobKey): void {
    for (const selection of jobs.get(key)?.selections ?? []) selection.jobs.delete(key);
    jobs.delete(key);
  }

  return {
    removeJob,
    putJob(job) {
      removeJob(job.key);
      jobs.set(job.key, { job, selections: job.rules.map((rule) => select(job, rule)) });
    },
    putNode(id, node) {
      const before = nodes.get(id);
      if (node === undefined) nodes.delete(id);
      else nodes.set(id, node);
      const touched = new Set<JobKey>();
      for (const [text, selection] of selections) {
        if (selection.jobs.size === 0) {
          selections.delete(text);
          continue;
        }
        const was = before !== undefined && matchesTarget(selection.target, before);
        const is = node !== undefined && matchesTarget(selection.target, node);
        if (was === is) continue;
        selection.nodes = undefined;
        for (const key of selection.jobs) touched.add(key);
      }
      return touched;
    },
    desired(key) {
      const entry = jobs.get(key);
      if (entry === undefined) return [];
      return groupByRules(entry.job, entry.selections.map(nodesOf));
    },
  };
}

/** Groups nodes by the set of rules that match them. */
export function groupByRules(job: Pick<Job, "rules" | "kind">, matching: readonly (readonly string[])[]): DesiredGroup[] {
  const peers = (index: number) => (job.kind === "common" ? [] : (matching[index] ?? []));
  const first = matching[0];
  if (matching.every((nodes) => nodes === first)) {
    if (first === undefined || first.length === 0) return [];
    return [{ rules: JSON.stringify(Object.fromEntries(job.rules.map((rule, index) => [rule.id, peers(index)]))), nodes: first }];
  }
  const rulesOf = new Map<string, number[]>();
  matching.forEach((nodes, index) => {
    for (const node of nodes) {
      const held = rulesOf.get(node);
      if (held === undefined) rulesOf.set(node, [index]);
      else held.push(index);
    }
  });
  const groups = new Map<string, { indexes: number[]; nodes: string[] }>();
  for (const [node, indexes] of rulesOf) {
    const text = indexes.join();
    const group = groups.get(text);
    if (group === undefined) groups.set(text, { indexes, nodes: [node] });
    else group.nodes.push(node);
  }
  return [...groups.values()].map(({ indexes, nodes }) => ({
    rules: JSON.stringify(Object.fromEntries(indexes.map((index) => [job.rules[index]?.id, peers(index)]))),
    nodes,
  }));
}
