/** On which nodes a task runs: online, not draining, matching; for one node the least loaded, then the preferred, then by a hash that spreads. Pure. */
import { hash32 } from "../../base/hash.ts";
import { compileTarget } from "../job-compile.ts";
import { matchesTarget, type TargetNode } from "../target.ts";
import type { PlanTask, RunPlan } from "./plan.ts";
import { type RunDocument, type TaskRun, taskOf } from "./run-document.ts";

export type Candidate = TargetNode & { readonly online: boolean; readonly draining: boolean; readonly load: number };

/** The nodes, and which were left out (`leftOut`, in words); or why there is none now. */
export type Placement = { readonly nodes: readonly string[]; readonly leftOut: string | undefined } | { readonly why: string };

/** Where a task that waits for a node goes. */
export function place(plan: RunPlan, run: RunDocument, task: PlanTask, candidates: readonly Candidate[]): Placement {
  const held = taskOf(run, task.name);
  const wanted = nodesWanted(run, task, held);
  const targets = targetsOf(plan, task);
  const matching = candidates.filter(
    (node) => (wanted === undefined || wanted.includes(node.id)) && targets.some((target) => matchesTarget(target, node)),
  );
  const able = matching.filter((node) => node.online && !node.draining);
  if (able.length === 0) return { why: whyNone(task, wanted, matching) };
  if (task.forEachNode === true) {
    const others = matching.filter((node) => !able.includes(node)).map((node) => `${node.id} (${node.online ? "draining" : "offline"})`);
    const leftOut =
      others.length === 0
        ? undefined
        : `left out: ${others.slice(0, 10).join(", ")}${others.length > 10 ? ` and ${others.length - 10} more` : ""}`;
    return { nodes: able.map(({ id }) => id).sort(), leftOut };
  }
  const preferred = targets.flatMap(({ prefer }) => prefer);
  const failedOn = held.history?.at(-1)?.nodes ?? [];
  const rank = (node: Candidate): readonly number[] => [
    node.load,
    failedOn.includes(node.id) ? 1 : 0,
    preferred.includes(node.id) ? preferred.indexOf(node.id) : preferred.length,
    hash32(`${run.id} ${task.name}@${node.id}`),
  ];
  const [first] = able.map((node) => ({ node, rank: rank(node) })).sort((a, b) => compare(a.rank, b.rank));
  return { nodes: first === undefined ? [] : [first.node.id], leftOut: undefined };
}

/** The targets of which a node must match one: the task's own, else those of its job's rules, else any. */
function targetsOf(plan: RunPlan, task: PlanTask) {
  const rules = plan.jobs[task.job]?.spec.rules ?? [];
  if (task.target !== undefined || rules.length === 0) return [compileTarget(task.target)];
  return rules.map((rule) => compileTarget(rule.target));
}

/** Only these nodes: where an earlier attempt failed, or where the task of `sameNodeAs` ran (one that ran nowhere sets no bound). */
function nodesWanted(run: RunDocument, task: PlanTask, held: TaskRun): readonly string[] | undefined {
  if (held.onlyNodes !== undefined) return held.onlyNodes;
  if (task.sameNodeAs === undefined) return undefined;
  const { instances = [] } = taskOf(run, task.sameNodeAs);
  return instances.length === 0 ? undefined : instances.map(({ node }) => node);
}

function whyNone(task: PlanTask, wanted: readonly string[] | undefined, matching: readonly Candidate[]): string {
  const among =
    wanted === undefined
      ? ""
      : ` (it must be ${wanted.slice(0, 5).join(" or ")}${task.sameNodeAs === undefined ? "" : `, where ${task.sameNodeAs} ran`})`;
  if (matching.length === 0) return `no registered node matches its target${among}`;
  const draining = matching.filter(({ online }) => online).length;
  const names = matching
    .slice(0, 5)
    .map(({ id }) => id)
    .join(", ");
  return `${matching.length === 1 ? `the only matching node, ${names}, is` : `all matching nodes (${names}${matching.length > 5 ? " …" : ""}) are`} ${draining === 0 ? "offline" : "draining or offline"}${among}`;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
