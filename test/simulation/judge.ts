/** From a simulated world's end to what is wrong with it, in words. */
import { toIso } from "fleetcron-shared/base/clock";
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
  const isCovered = ({ job, rule, dueMs }: { job?: string; rule?: string; dueMs?: number }) => covered.has(`${job} ${rule} ${dueMs}`);
  const isUncovered = (finding: (typeof all)[number]) =>
    finding.kind === "silent" && isCovered(finding) && finding.text.includes("no run and no verdict");
  // The auditor covers everything in the end: what a node that was there left in silence is found by its word.
  const unknown = history.verdicts
    .filter((verdict) => verdict.outcome === "missed:unknown" && !isCovered(verdict))
    .map(({ job, rule, dueMs, node }) => ({
      kind: "silent",
      text: `${job}: the auditor knows nothing of ${rule} ${toIso(dueMs ?? 0)} on ${node}`,
    }));
  return {
    findings: [...faults, ...all.filter((finding) => !isUncovered(finding)), ...unknown, ...untimely(end)],
    uncovered: all.filter(isUncovered).map(({ text }) => text),
  };
}
