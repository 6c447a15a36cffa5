/**
 * Mutual exclusion of a job of kind `alone`: no run begins before one that began earlier has ended, and whoever comes later carries a greater fence.
 * A run without an end and without a last sign of life counts as over when it began: nobody has seen more of it. Pure.
 */
import type { Finding, Run } from "./history.ts";
import { apart, ofJob, runWords } from "./words.ts";

/** Of the runs of one job, ordered ones too. `skewMs`: clocks of different nodes may differ by so much, so what is no longer than that is not told. */
export function exclusion(runs: readonly Run[], skewMs = 0): Finding[] {
  const sorted = [...runs].sort((a, b) => a.beginMs - b.beginMs || a.attempt - b.attempt);
  const findings: Finding[] = [];
  let last: Run | undefined;
  let newest: Run | undefined;
  for (const run of sorted) {
    if (last?.endMs !== undefined && run.beginMs < last.endMs - slack(run, last, skewMs) && !isSame(run, last)) {
      const long = run.endMs === undefined ? "" : ` for ${apart(Math.min(last.endMs, run.endMs) - run.beginMs)}`;
      findings.push(ofJob("overlap", run, `two ran at once${long}: ${runWords(last)}, and ${runWords(run)}`));
    }
    if (
      run.fence !== undefined &&
      newest?.fence !== undefined &&
      !isHigher(run, newest) &&
      run.beginMs >= newest.beginMs + slack(run, newest, skewMs)
    ) {
      findings.push(
        ofJob("fence", run, `fence ${run.fence} came after fence ${newest.fence}: ${runWords(run)}, after ${runWords(newest)}`),
      );
    }
    if (run.endMs !== undefined && run.endMs >= (last?.endMs ?? run.endMs)) last = run;
    if (run.fence !== undefined && run.fence >= (newest?.fence ?? 0)) newest = run;
  }
  return findings;
}

function slack(run: Run, other: Run, skewMs: number): number {
  return run.node === other.node ? 0 : skewMs;
}

/** An attempt that ran twice is told as a duplicate. */
function isSame(run: Run, other: Run): boolean {
  return run.execution === other.execution && run.attempt === other.attempt;
}

/** Attempts of one execution share its fence. */
function isHigher(run: Run, before: Run): boolean {
  const fence = run.fence ?? 0;
  const held = before.fence ?? 0;
  return fence > held || (fence === held && run.execution === before.execution);
}
