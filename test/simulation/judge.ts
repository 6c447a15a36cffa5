/** From a simulated world's end to what is wrong with it, in words. */
import { check } from "fleetcron-shared/check/check";
import { untimely } from "./promptness.ts";
import type { WorldEnd } from "./world.ts";

export type Judgement = {
  readonly findings: readonly { readonly kind: string; readonly text: string }[];
  /** Ticks before a change of their job of which nobody tells: an auditor would. */
  readonly uncovered: readonly string[];
};

export function judge(end: WorldEnd): Judgement {
  const { truth, faults } = end;
  const { history, superseded } = truth;
  const covered = new Set([...superseded].map(({ job, rule, dueMs }) => `${job} ${rule} ${dueMs}`));
  const all = check(history);
  const isUncovered = (finding: (typeof all)[number]) =>
    finding.kind === "silent" &&
    covered.has(`${finding.job} ${finding.rule} ${finding.dueMs}`) &&
    finding.text.includes("no run and no verdict");
  return {
    findings: [...faults, ...all.filter((finding) => !isUncovered(finding)), ...untimely(end)],
    uncovered: all.filter(isUncovered).map(({ text }) => text),
  };
}
