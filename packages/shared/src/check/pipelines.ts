/**
 * Runs of pipelines against what their commands witnessed: each task's attempt at most once on a node, a task begins only after all that it needs have
 * ended (so a join happens once, and late enough), and the run's document says of each task what happened. Pure.
 */
import type { EpochMs } from "../base/clock.ts";
import { toIso } from "../base/clock.ts";
import type { Finding, FindingKind, PipelineHistory, TaskEvidence, TaskVerdict } from "./history.ts";

/** States in which a task has not begun, or never will in this attempt. */
const NOT_BEGUN: readonly string[] = ["pending", "waitingAudit", "skipped"];

export function pipelines({ tasks, evidence, verdicts }: PipelineHistory): Finding[] {
  const ran = Map.groupBy(evidence, taskKey);
  const planned = new Map(tasks.map((task) => [taskKey(task), task]));
  const findings: Finding[] = [];
  for (const [key, own] of ran) {
    findings.push(...twice(own));
    const task = planned.get(key);
    if (task === undefined) {
      findings.push(...own.slice(0, 1).map((one) => finding("taskState", one, `${words(one)} ran, and the run has no such task`)));
      continue;
    }
    for (const one of own) {
      for (const needed of task.needs) findings.push(...beganTooEarly(one, needed, ran.get(taskKey({ run: one.run, task: needed })) ?? []));
    }
  }
  for (const verdict of verdicts) findings.push(...disagreements(verdict, ran.get(taskKey(verdict)) ?? []));
  return findings;
}

function twice(own: readonly TaskEvidence[]): Finding[] {
  const seen = Map.groupBy(own, ({ attempt, node }) => `${attempt} ${node}`);
  return [...seen.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined || same.length < 2) return [];
    return [
      finding(
        "taskTwice",
        first,
        `${words(first)} ran ${same.length} times, begun ${same.map(({ beginMs }) => toIso(beginMs)).join(", ")}`,
      ),
    ];
  });
}

/** A task that was needed and has no evidence at all did not run on purpose (skipped, or somebody reported its status). */
function beganTooEarly(one: TaskEvidence, needed: string, before: readonly TaskEvidence[]): Finding[] {
  if (before.length === 0) return [];
  const begun = before.filter(({ beginMs }) => beginMs <= one.beginMs);
  if (begun.length === 0)
    return [finding("taskEarly", one, `${words(one)} began ${toIso(one.beginMs)}, before ${needed}, which it needs, had begun`)];
  const open = begun.find(({ endMs }) => endMs !== undefined && endMs > one.beginMs);
  if (open?.endMs === undefined) return [];
  const text = `${words(one)} began ${toIso(one.beginMs)}, and ${needed} on ${open.node}, which it needs, ended ${toIso(open.endMs)}`;
  return [finding("taskEarly", one, text)];
}

function disagreements(verdict: TaskVerdict, own: readonly TaskEvidence[]): Finding[] {
  const { state, attempt, nodes } = verdict;
  const say = (text: string, one?: TaskEvidence) => [
    finding("taskState", one ?? verdict, `task ${verdict.task} of run ${verdict.run} is ${state} at attempt ${attempt}, and ${text}`),
  ];
  const later = own.find((one) => one.attempt > attempt);
  if (later !== undefined) return say(`attempt ${later.attempt} ran on ${later.node}`, later);
  const current = own.filter((one) => one.attempt === attempt);
  const [first] = current;
  if (first !== undefined && NOT_BEGUN.includes(state)) return say(`it ran on ${first.node}`, first);
  if (state !== "succeeded") return [];
  const absent = (nodes ?? []).find((node) => !current.some((one) => one.node === node));
  if (absent !== undefined) return say(`it did not run on ${absent}`);
  const ended = current.filter(({ exitCode }) => exitCode !== undefined);
  const failed = ended.find(({ exitCode }) => exitCode !== 0);
  if (failed !== undefined && ended.every(({ exitCode }) => exitCode !== 0))
    return say(`it ended with exit code ${failed.exitCode} on ${failed.node}`, failed);
  return [];
}

function taskKey({ run, task }: { readonly run: string; readonly task: string }): string {
  return `${run} ${task}`;
}

function words({ run, task, attempt, node }: TaskEvidence): string {
  return `task ${task} of run ${run}, attempt ${attempt} on ${node},`;
}

function finding(kind: FindingKind, about: { readonly run: string; readonly beginMs?: EpochMs }, text: string): Finding {
  return { kind, job: about.run, ...(about.beginMs === undefined ? {} : { dueMs: about.beginMs }), text };
}
