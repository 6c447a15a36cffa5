/** Runs and targets of one job, gathered for the checks: attempts of one execution belong together, targets are found by their due time. */
import type { EpochMs } from "../base/clock.ts";
import type { History, Run, Target, Verdict } from "./history.ts";

/** The part of a history that is about one job. */
export type JobHistory = {
  readonly job: string;
  readonly targets: readonly Target[];
  readonly runs: readonly Run[];
  readonly verdicts: readonly Verdict[];
  readonly isExclusive: boolean;
  readonly isPending: (target: Target) => boolean;
  /** Whether the targets are complete for this instant. */
  readonly isInSpan: (dueMs: EpochMs) => boolean;
};

/** The attempts of one execution, in order. */
export type Execution = {
  readonly id: string;
  readonly job: string;
  readonly rule: string | undefined;
  readonly dueMs: EpochMs | undefined;
  readonly node: string;
  readonly runs: readonly Run[];
  readonly beginMs: EpochMs;
  readonly firstAttempt: number;
};

export function byJob(history: History): JobHistory[] {
  const { span, exclusive } = history;
  const targets = Map.groupBy(history.targets, ({ job }) => job);
  const runs = Map.groupBy(history.runs, ({ job }) => job);
  const verdicts = Map.groupBy(history.verdicts, ({ job }) => job);
  const pending = Map.groupBy(history.pending ?? [], ({ job }) => job);
  const jobs = new Set([...targets.keys(), ...runs.keys(), ...verdicts.keys()]);
  return [...jobs].map((job) => {
    const waiting = new Set((pending.get(job) ?? []).map(({ rule, dueMs, node }) => `${rule} ${dueMs} ${node ?? ""}`));
    const isWaiting = (rule: string, dueMs: EpochMs, node: string | undefined) =>
      waiting.has(`${rule} ${dueMs} ${node ?? ""}`) || (node !== undefined && waiting.has(`${rule} ${dueMs} `));
    return {
      job,
      targets: targets.get(job) ?? [],
      runs: runs.get(job) ?? [],
      verdicts: verdicts.get(job) ?? [],
      isExclusive: exclusive.has(job),
      isPending: ({ rule, dueMs, node }) => waiting.size > 0 && isWaiting(rule, dueMs, node),
      isInSpan: (dueMs) => span === undefined || (dueMs >= span.fromMs && dueMs < span.untilMs),
    };
  });
}

/** The executions of ticks, by their begin. Orders are none. */
export function executionsOf(runs: readonly Run[]): Execution[] {
  const found = [
    ...Map.groupBy(
      runs.filter(({ ordered }) => ordered !== true),
      ({ execution }) => execution,
    ),
  ].flatMap(([id, own]) => {
    const sorted = own.length === 1 ? own : [...own].sort((a, b) => a.attempt - b.attempt || a.beginMs - b.beginMs);
    const first = sorted[0];
    if (first === undefined) return [];
    const { job, rule, dueMs, node, attempt } = first;
    return [{ id, job, rule, dueMs, node, runs: sorted, beginMs: first.beginMs, firstAttempt: attempt }];
  });
  return found.sort((a, b) => a.beginMs - b.beginMs || (a.id < b.id ? -1 : 1));
}

/** Whether a run or verdict that names a rule (or none) and a node can be one of `target`. */
export function isOf(target: Target, about: { readonly rule?: string | undefined; readonly node: string }): boolean {
  return (about.rule === undefined || about.rule === target.rule) && (target.node === undefined || target.node === about.node);
}

/** Indices of `targets` by due time. */
export function indexByDue(targets: readonly Target[]): ReadonlyMap<EpochMs, readonly number[]> {
  const index = new Map<EpochMs, number[]>();
  targets.forEach(({ dueMs }, at) => {
    const held = index.get(dueMs);
    if (held === undefined) index.set(dueMs, [at]);
    else held.push(at);
  });
  return index;
}
