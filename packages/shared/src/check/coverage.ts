/**
 * Did each target run, once, and in its window? Runs that know their tick belong to it alone; the others are matched one-to-one with targets whose
 * window holds their begin, and count only when they came to their end. After Jepsen's test of Chronos. Pure.
 */
import { placeOf } from "../base/sorted.ts";
import { type Execution, executionsOf, indexByDue, isOf, type JobHistory } from "./executions.ts";
import type { Finding, Run, Target } from "./history.ts";
import { matchOneToOne } from "./matching.ts";
import { apart, ofJob, ofTick, runWords, tickWords } from "./words.ts";

/** Reruns of one tick that the leader orders beyond the job's own attempts. */
const MAX_RERUNS = 5;

export type Coverage = {
  /** By index of the target: the execution that ran for it. */
  readonly ranBy: ReadonlyMap<number, Execution>;
  readonly findings: readonly Finding[];
  /** Begin minus due, of each target that ran. */
  readonly delaysMs: readonly number[];
};

/** Of one job. */
export function coverage({ targets, runs, isInSpan }: Pick<JobHistory, "targets" | "runs" | "isInSpan">): Coverage {
  const executions = executionsOf(runs);
  const candidates = candidatesOf(targets, executions);
  const { right } = matchOneToOne(candidates, targets.length);
  const ranBy = new Map<number, Execution>();
  const findings: Finding[] = [];
  const delaysMs: number[] = [];
  executions.forEach((execution, at) => {
    const matched = right[at] ?? -1;
    const target = targets[matched];
    if (target === undefined) return;
    ranBy.set(matched, execution);
    delaysMs.push(execution.beginMs - target.dueMs);
    findings.push(...outsideWindow(target, execution), ...tooManyAttempts(target, execution));
  });
  const others = [leftOver(targets, executions, candidates, right, isInSpan), executions.flatMap(twice)];
  return { ranBy, findings: findings.concat(...others), delaysMs };
}

function candidatesOf(targets: readonly Target[], executions: readonly Execution[]): number[][] {
  const byDue = indexByDue(targets);
  const windows = executions.some(({ dueMs }) => dueMs === undefined) ? windowsOf(targets) : undefined;
  return executions.map((execution) => {
    const { dueMs, beginMs, runs } = execution;
    const own = (index: number) => {
      const target = targets[index];
      return target !== undefined && isOf(target, execution);
    };
    if (dueMs !== undefined) return (byDue.get(dueMs) ?? []).filter(own);
    return runs.some(isComplete) ? (windows?.(beginMs) ?? []).filter(own) : [];
  });
}

function isComplete({ endMs }: Run): boolean {
  return endMs !== undefined;
}

/** The targets whose window holds an instant, by their due time. */
function windowsOf(targets: readonly Target[]): (ms: number) => number[] {
  const begin = (target: Target) => target.earliestMs ?? target.dueMs;
  const sorted = targets.map((target, index) => ({ target, index })).sort((a, b) => begin(a.target) - begin(b.target));
  const longest = targets.reduce((max, target) => Math.max(max, target.latestMs - begin(target)), 0);
  return (ms) => {
    let place = placeOf(sorted, ({ target }) => begin(target) < ms - longest);
    const found: number[] = [];
    for (let at = sorted[place]; at !== undefined && begin(at.target) <= ms; at = sorted[++place]) {
      if (at.target.latestMs >= ms) found.push(at.index);
    }
    return found;
  };
}

function outsideWindow(target: Target, execution: Execution): Finding[] {
  const { beginMs } = execution;
  if (beginMs >= (target.earliestMs ?? target.dueMs) && beginMs <= target.latestMs) return [];
  const what = runWords({ ...execution, execution: execution.id });
  if (beginMs < (target.earliestMs ?? target.dueMs))
    return [ofTick("early", target, `${tickWords(target)} began ${apart(target.dueMs - beginMs)} before it was due: ${what}`)];
  const allowed = `at most ${apart(target.latestMs - target.dueMs)} is allowed`;
  return [ofTick("late", target, `${tickWords(target)} began ${apart(beginMs - target.dueMs)} after it was due (${allowed}): ${what}`)];
}

function tooManyAttempts(target: Target, { id, runs, node }: Execution): Finding[] {
  const allowed = 1 + (target.retries ?? 0) + (target.rerun === true ? MAX_RERUNS : 0);
  const newest = runs.at(-1)?.attempt ?? 1;
  if (newest <= allowed) return [];
  return [ofTick("duplicate", target, `${tickWords(target)} had attempt ${newest} of at most ${allowed}: execution ${id} on ${node}`)];
}

/** Executions for which no target was left. */
function leftOver(
  targets: readonly Target[],
  executions: readonly Execution[],
  candidates: readonly (readonly number[])[],
  right: Int32Array,
  isInSpan: (ms: number) => boolean,
): Finding[] {
  const attempts = new Map<number, Set<number>>();
  const matched = new Map<number, Execution>();
  executions.forEach((execution, at) => {
    const target = right[at] ?? -1;
    if (target < 0) return;
    matched.set(target, execution);
    attempts.set(target, new Set([execution.firstAttempt]));
  });
  return executions.flatMap((execution, at): Finding[] => {
    if ((right[at] ?? -1) >= 0) return [];
    const { dueMs, rule, firstAttempt, runs, id } = execution;
    const own = candidates[at]?.[0];
    const target = own === undefined ? undefined : targets[own];
    const what = runWords({ ...execution, execution: id });
    if (own === undefined || target === undefined) {
      if (!isInSpan(dueMs ?? execution.beginMs) || (dueMs === undefined && !runs.some(isComplete))) return [];
      const text =
        dueMs === undefined ? "it ran, and no tick is left that it could be of" : `it ran for ${tickWords({ dueMs, rule })}, which is none`;
      return [ofJob("extra", execution, `${text}: ${what}`)];
    }
    const known = attempts.get(own);
    // A rerun goes on with the attempts after those of the lost execution.
    if (target.rerun === true && known !== undefined && !known.has(firstAttempt)) {
      known.add(firstAttempt);
      return tooManyAttempts(target, execution);
    }
    const first = matched.get(own);
    const before = first === undefined ? "" : `; before: ${runWords({ ...first, execution: first.id })}`;
    return [ofTick("duplicate", target, `${tickWords(target)} ran once more: ${what}${before}`)];
  });
}

/** An attempt that began twice, and an execution that ran for two ticks. */
function twice(execution: Execution): Finding[] {
  return execution.runs.flatMap((run, at) => {
    const before = execution.runs[at - 1];
    if (before === undefined) return [];
    const tell = (text: string) => [ofJob("duplicate", run, `${text}: ${runWords(run)}; before: ${runWords(before)}`)];
    if (before.attempt === run.attempt) return tell(`attempt ${run.attempt} of one execution ran twice`);
    return before.dueMs === run.dueMs ? [] : tell("one execution ran for two ticks");
  });
}
