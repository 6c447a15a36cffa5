/**
 * What the commands themselves wrote: the only witness of what really ran. Each run appends one line when it begins and, where it lasts, one
 * when it ends, to a file that all nodes of a test share (appends of a line are atomic).
 */
import { textOf } from "./processes.ts";

/** `due` is the tick as RFC 3339; times are milliseconds of the wall clock of the host of the test. */
export type Run = {
  readonly job: string;
  readonly due: string;
  readonly node: string;
  readonly execution: string;
  readonly beginMs: number;
  readonly endMs: number | undefined;
};

/** A script for `run.command.script` that leaves evidence in `file`, with `body` between begin and end. */
export function evidenceScript(file: string, body = ""): string {
  const line = (word: string) =>
    `echo "${word} $FLEETCRON_JOB $FLEETCRON_DUE $FLEETCRON_NODE $FLEETCRON_EXECUTION $(date +%s%3N)" >> ${file}`;
  return [line("begin"), body, line("end")].filter((part) => part !== "").join("\n");
}

export function readEvidence(file: string): Run[] {
  const runs = new Map<string, Run>();
  for (const text of textOf(file).split("\n")) {
    const [word, job, due, node, execution, at] = text.split(" ");
    if (job === undefined || due === undefined || node === undefined || execution === undefined || at === undefined) continue;
    if (word === "begin")
      runs.set(`${execution}@${runs.has(execution) ? runs.size : ""}`, {
        job,
        due,
        node,
        execution,
        beginMs: Number(at),
        endMs: undefined,
      });
    else {
      const begun = [...runs].findLast(([, run]) => run.execution === execution && run.endMs === undefined);
      if (begun !== undefined) runs.set(begun[0], { ...begun[1], endMs: Number(at) });
    }
  }
  return [...runs.values()];
}

/** Ticks that ran more than once. */
export function duplicates(runs: readonly Run[]): string[] {
  const count = new Map<string, number>();
  for (const run of runs) count.set(`${run.job} ${run.due}`, (count.get(`${run.job} ${run.due}`) ?? 0) + 1);
  return [...count].filter(([, times]) => times > 1).map(([tick, times]) => `${tick} ran ${times} times`);
}

/** Pairs of runs of one job that were under way at the same time. A run without an end counts as over when it began. */
export function overlaps(runs: readonly Run[]): string[] {
  const sorted = [...runs].sort((a, b) => a.beginMs - b.beginMs);
  return sorted.flatMap((run, index) => {
    const next = sorted.slice(index + 1).find((other) => other.job === run.job);
    return next !== undefined && run.endMs !== undefined && next.beginMs < run.endMs
      ? [`${run.job}: ${run.due} on ${run.node} and ${next.due} on ${next.node}`]
      : [];
  });
}

/** Ticks of a period between two instants (both inclusive) that have no run. */
export function withoutRun(runs: readonly Run[], job: string, periodMs: number, fromMs: number, untilMs: number): string[] {
  const ran = new Set(runs.filter((run) => run.job === job).map((run) => run.due));
  const missing: string[] = [];
  for (let due = Math.ceil(fromMs / periodMs) * periodMs; due <= untilMs; due += periodMs) {
    const iso = new Date(due).toISOString();
    if (!ran.has(iso)) missing.push(iso);
  }
  return missing;
}
