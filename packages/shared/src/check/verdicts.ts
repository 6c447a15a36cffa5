/**
 * Does each target have exactly one verdict? Attempts of one execution are one; a provisional one counts when there is no other; a range counts for each of
 * its ticks that no record names by itself; a rerun is not a second one. A target that may still be told of is none of this check's business. Pure.
 */
import { placeOf } from "../base/sorted.ts";
import { type Execution, indexByDue, isOf, type JobHistory } from "./executions.ts";
import type { Finding, Target, Verdict } from "./history.ts";
import { ofJob, ofTick, tickWords } from "./words.ts";

/** What one execution says in the end. */
type Word = Verdict & { readonly firstAttempt: number };

export type Verdicts = {
  readonly findings: readonly Finding[];
  /** By index of the target: the last word on it. */
  readonly of: ReadonlyMap<number, Verdict>;
};

/** Of one job. `ranBy`: the targets that ran (coverage.ts). */
export function completeness(history: JobHistory, ranBy: ReadonlyMap<number, Execution>): Verdicts {
  const { targets, runs, verdicts, isPending, isInSpan } = history;
  const told = tellTargets(targets, verdicts);
  const ran = new Set(runs.map(({ execution }) => execution));
  const findings: Finding[] = [];
  const of = new Map<number, Verdict>();
  targets.forEach((target, at) => {
    const own = told.of.get(at) ?? [];
    const last = own.at(-1);
    if (last !== undefined) of.set(at, last);
    if (isToldTwice(own, ran) && !isRerun(target, own))
      findings.push(ofTick("doubleVerdict", target, `${tickWords(target)} has ${own.length} verdicts: ${own.map(words).join("; ")}`));
    if (isPending(target)) return;
    const runner = ranBy.get(at);
    if (last === undefined) {
      // A run that knows its tick is told of as `untold` (truth.ts); one that was matched by its begin may be another tick's.
      if (runner?.dueMs === undefined && target.optional !== true)
        findings.push(
          ofTick("silent", target, `${tickWords(target)} ${runner === undefined ? "has no run and no verdict" : "has no verdict"}`),
        );
    } else if (!own.some(isLast)) {
      findings.push(
        ofTick("unfinished", target, `${tickWords(target)} was to have another attempt, and nothing tells of it: ${words(last)}`),
      );
    } else if (
      runner !== undefined &&
      own.every(({ ran: says }) => !says) &&
      !own.some((word) => word.execution === runner.id || follows(word, runner, target))
    ) {
      findings.push(
        ofTick(
          "contradiction",
          target,
          `${tickWords(target)} ran (execution ${runner.id} on ${runner.node}), and its verdict is ${words(last)}`,
        ),
      );
    }
  });
  for (const verdict of told.ofNone) {
    if (verdict.dueMs === undefined || !isInSpan(verdict.dueMs) || ran.has(verdict.execution) || verdict.ran) continue;
    findings.push(
      ofJob("extra", verdict, `${tickWords({ dueMs: verdict.dueMs, rule: verdict.rule })} has a verdict and is no tick: ${words(verdict)}`),
    );
  }
  return { findings, of };
}

/** Ticks with more than one verdict, whatever was due: for times whose schedule is not known any more. `perNode`: of a job of kind `common`. */
export function doubles(job: string, verdicts: readonly Verdict[], perNode: boolean, rerun: boolean): Finding[] {
  const points = verdicts.filter((verdict) => verdict.dueMs !== undefined && verdict.dueUntilMs === undefined);
  const ticks = Map.groupBy(points, ({ rule, dueMs, node }) => `${rule} ${dueMs} ${perNode ? node : ""}`);
  return [...ticks.values()].flatMap((told): Finding[] => {
    const own = lastWords(told);
    const [{ dueMs = 0, rule, node } = { node: "" }] = own;
    if (own.length < 2 || isRerun({ rerun }, own)) return [];
    const text = `${tickWords({ dueMs, rule, ...(perNode ? { node } : {}) })} has ${own.length} verdicts: ${own.map(words).join("; ")}`;
    return [ofJob("doubleVerdict", { job, rule, dueMs }, text)];
  });
}

function tellTargets(targets: readonly Target[], verdicts: readonly Verdict[]) {
  const byDue = indexByDue(targets);
  const points = new Map<number, Verdict[]>();
  const ranges: Verdict[] = [];
  const ofNone: Verdict[] = [];
  for (const verdict of verdicts) {
    if (verdict.dueMs === undefined) continue;
    if (verdict.dueUntilMs !== undefined) {
      ranges.push(verdict);
      continue;
    }
    const own = (byDue.get(verdict.dueMs) ?? []).filter((at) => isOfIndex(targets, at, verdict));
    if (own.length === 0) ofNone.push(verdict);
    for (const at of own) add(points, at, verdict);
  }
  const of = new Map<number, Word[]>();
  for (const [at, told] of points) of.set(at, lastWords(told));
  if (ranges.length > 0) tellRanges(targets, ranges, of, ofNone);
  return { of, ofNone };
}

function tellRanges(targets: readonly Target[], ranges: readonly Verdict[], of: Map<number, Word[]>, ofNone: Verdict[]): void {
  const named = new Set(of.keys());
  const order = targets.map((_, at) => at).sort((a, b) => (targets[a]?.dueMs ?? 0) - (targets[b]?.dueMs ?? 0));
  for (const range of ranges) {
    const untilMs = range.dueUntilMs ?? 0;
    let holds = false;
    for (let at = placeOf(order, (index) => (targets[index]?.dueMs ?? 0) < (range.dueMs ?? 0)); at < order.length; at++) {
      const index = order[at] ?? 0;
      if ((targets[index]?.dueMs ?? Number.POSITIVE_INFINITY) > untilMs) break;
      if (!isOfIndex(targets, index, range)) continue;
      holds = true;
      if (!named.has(index)) add(of, index, { ...range, firstAttempt: range.attempt });
    }
    if (!holds) ofNone.push(range);
  }
  for (const [index, told] of of) if (told.length > 1 && !named.has(index)) of.set(index, lastWords(told));
}

function isOfIndex(targets: readonly Target[], at: number, verdict: Verdict): boolean {
  const target = targets[at];
  return target !== undefined && isOf(target, verdict);
}

function add<T>(of: Map<number, T[]>, at: number, verdict: T): void {
  const held = of.get(at);
  if (held === undefined) of.set(at, [verdict]);
  else held.push(verdict);
}

/** Of each execution its last attempt, in their order; provisional ones only where nobody else has told anything. Of one attempt there may be two. */
function lastWords(told: readonly Verdict[]): Word[] {
  const [only] = told;
  if (told.length === 1 && only !== undefined) return [{ ...only, firstAttempt: only.attempt }];
  const all = [...Map.groupBy(told, ({ execution }) => execution).values()].flatMap((attempts): Word[] => {
    const numbers = attempts.map(({ attempt }) => attempt);
    const newest = attempts.filter(({ attempt }) => attempt === Math.max(...numbers));
    const own = newest.filter(({ provisional }) => !provisional);
    return (own.length > 0 ? own : newest.slice(0, 1)).map((verdict) => ({ ...verdict, firstAttempt: Math.min(...numbers) }));
  });
  all.sort((a, b) => a.attempt - b.attempt || (a.execution < b.execution ? -1 : 1));
  const own = all.filter(({ provisional }) => !provisional);
  return own.length > 0 ? own : all.slice(-1);
}

/** A tick that truly ran in two executions has two verdicts, each of them right: that is a duplicate (coverage.ts), not a double verdict. */
function isToldTwice(own: readonly Word[], ran: ReadonlySet<string>): boolean {
  const executions = new Set(own.map(({ execution }) => execution).filter((execution) => ran.has(execution)));
  return own.length > Math.max(1, executions.size);
}

/** Each execution goes on with the attempts after those of the one before. */
function isRerun({ rerun }: Pick<Target, "rerun">, own: readonly Word[]): boolean {
  return rerun === true && new Set(own.map(({ firstAttempt }) => firstAttempt)).size === own.length;
}

/** It tells of a later attempt, in a rerun of what was lost; that the earlier ones ran is no contradiction. */
function follows({ firstAttempt }: Word, runner: Execution, { rerun }: Target): boolean {
  return rerun === true && runner.runs.every(({ attempt }) => attempt < firstAttempt);
}

/** Nothing follows it: also not what is lost, whose rerun is an execution of its own. */
function isLast({ final, outcome }: Verdict): boolean {
  return final || outcome.startsWith("lost:");
}

function words({ outcome, execution, node, attempt, provisional }: Verdict): string {
  return `${outcome} on ${node} (${execution}${attempt === 1 ? "" : `, attempt ${attempt}`}${provisional ? ", provisional" : ""})`;
}
