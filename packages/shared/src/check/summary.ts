/** What became of the targets of a history, in figures. Pure. */
import type { JobExamination } from "./check.ts";
import type { FindingKind } from "./history.ts";
import { type Lateness, latenessOf } from "./lateness.ts";

export type Summary = {
  readonly due: number;
  readonly ran: number;
  /** By reason: `overlap`, `isolated` … */
  readonly skipped: Readonly<Record<string, number>>;
  readonly missed: Readonly<Record<string, number>>;
  /** Nobody knows how they ended. */
  readonly lost: number;
  /** A claim, a process or a node may still tell of them. */
  readonly pending: number;
  readonly silent: number;
  readonly findings: Readonly<Partial<Record<FindingKind, number>>>;
  readonly lateness?: Lateness;
};

export function summarize(examinations: Iterable<JobExamination>): Summary {
  const tally = createTally();
  for (const one of examinations) tally.add(one);
  return tally.summary();
}

/** The same, for histories that come one after the other. */
export function createTally(): { add(one: Pick<JobExamination, "job" | "coverage" | "verdicts" | "findings">): void; summary(): Summary } {
  const skipped: Record<string, number> = {};
  const missed: Record<string, number> = {};
  const findings: Partial<Record<FindingKind, number>> = {};
  const delaysMs: number[] = [];
  const counts = { due: 0, ran: 0, lost: 0, pending: 0, silent: 0 };
  return {
    add({ job, coverage, verdicts, findings: found }) {
      for (const delay of coverage.delaysMs) delaysMs.push(delay);
      for (const { kind } of found) findings[kind] = (findings[kind] ?? 0) + 1;
      job.targets.forEach((target, at) => {
        const word = verdicts.of.get(at)?.outcome;
        const [type = "", reason = ""] = word?.split(":") ?? [];
        const isSaid = coverage.ranBy.has(at) || word !== undefined;
        if (target.optional === true && !isSaid) return;
        counts.due++;
        if (type === "lost") counts.lost++;
        else if (coverage.ranBy.has(at)) counts.ran++;
        else if (type === "skipped") skipped[reason] = (skipped[reason] ?? 0) + 1;
        else if (type === "missed") missed[reason] = (missed[reason] ?? 0) + 1;
        else if (isSaid) counts.ran++;
        else if (job.isPending(target)) counts.pending++;
        else counts.silent++;
      });
    },
    summary() {
      const lateness = latenessOf(delaysMs);
      return { ...counts, skipped, missed, findings, ...(lateness === undefined ? {} : { lateness }) };
    },
  };
}
