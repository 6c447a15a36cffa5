/** A run in lines for people. */
import { describe } from "./check/judge.ts";
import type { ChaosResult } from "./run-chaos.ts";

const SHOWN = 40;

export function summaryLines(result: ChaosResult): string[] {
  const { counts, outcomes, overlaps, failed, folder, converged, strikes } = result;
  const pairs = (map: Readonly<Record<string, number>>) =>
    Object.entries(map)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  return [
    `faults: ${pairs(strikes)}`,
    `counted: ${pairs(counts)}`,
    `verdicts: ${pairs(outcomes)}`,
    `converged after ${converged.map((ms) => (ms === undefined ? "never" : `${ms} ms`)).join(", ")}`,
    `overlaps of alone jobs that no lease can prevent: ${overlaps.filter(({ cause }) => cause !== undefined).length}`,
    ...overlaps.filter(({ cause }) => cause !== undefined).map((one) => `  ${describe(one)}`),
    ...(failed.length === 0
      ? ["nothing was missed, doubled, lost or left unexplained"]
      : [
          `${failed.length} findings:`,
          ...failed.slice(0, SHOWN).map((text) => `  ${text}`),
          ...(failed.length > SHOWN ? [`  … and ${failed.length - SHOWN} more in judgement.json`] : []),
          `look in ${folder}: evidence/, faults.jsonl, deeds.jsonl, not-converged.jsonl, judgement.json, *.log, data-*/`,
        ]),
  ];
}
