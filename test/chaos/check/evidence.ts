/** What the commands wrote, as runs; the last sign of life counts as the end of one that was ended by force. Pure but for the reading. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Run, TaskEvidence } from "fleetcron-shared/check/history";
import { textOf } from "../../support/processes.ts";

export type Witnessed = Run & {
  /** The last line that it wrote. */
  readonly lastMs: EpochMs;
  /** Of a pipeline. */
  readonly task?: { readonly run: string; readonly task: string };
};

/** Of all agents. */
export function readEvidence(folder: string): Witnessed[] {
  return readdirSync(folder).flatMap((agent) => parseEvidence(textOf(join(folder, agent))));
}

/** The lines of traffic/script.ts. An attempt that began twice is there twice. */
export function parseEvidence(text: string): Witnessed[] {
  const found: { -readonly [K in keyof Witnessed]: Witnessed[K] }[] = [];
  const newest = new Map<string, (typeof found)[number]>();
  for (const line of text.split("\n")) {
    const [word, job = "", due = "-", node = "", execution = "", attempt = "", fence = "-", at = "", code = "-", run = "-", task = "-"] =
      line.split(" ");
    const key = `${execution}-${attempt}`;
    if (word === "begin") {
      const dueMs = due === "-" ? undefined : Date.parse(due);
      const begun: (typeof found)[number] = {
        ...{ job, node, execution, attempt: Number(attempt), beginMs: Number(at), lastMs: Number(at) },
        ...(dueMs === undefined ? { ordered: true } : { dueMs, rule: "r1" }),
        ...(fence === "-" ? {} : { fence: Number(fence) }),
        ...(task === "-" ? {} : { task: { run, task } }),
      };
      found.push(begun);
      newest.set(key, begun);
      continue;
    }
    const begun = newest.get(key);
    if (begun === undefined) continue;
    begun.lastMs = Number(at);
    if (word !== "end") continue;
    begun.endMs = Number(at);
    begun.exitCode = Number(code);
  }
  return found;
}

export function taskEvidence(runs: readonly Witnessed[]): TaskEvidence[] {
  return runs.flatMap(({ task, attempt, node, beginMs, endMs, exitCode }) =>
    task === undefined
      ? []
      : [
          {
            ...{ ...task, attempt, node, beginMs },
            ...(endMs === undefined ? {} : { endMs }),
            ...(exitCode === undefined ? {} : { exitCode }),
          },
        ],
  );
}
