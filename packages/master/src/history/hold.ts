/**
 * What must stay in etcd because it is not in the archive yet, and the bound of that: a database that is away for days must not fill etcd. Beyond the bound
 * retention deletes as it would without a history, and that is told (log, `fleetcron doctor`). Counts in memory only.
 */
import type { Log } from "fleetcron-shared/base/log";
import type { Revision } from "fleetcron-shared/store/kv";

/** Records that wait beyond what their jobs retain; a record is mostly below 1 KiB and never above some 12 KiB. */
export const MAX_HELD_RECORDS = 50_000;
/** Runs of one pipeline that wait beyond what it retains. */
export const MAX_HELD_RUNS = 500;

export type Hold = {
  /** Whether what was written at this revision is in the archive, or need not be. */
  isArchived(revision: Revision): boolean;
  /** Of a job: how many records retention would delete and that are not archived; returns how many of them must go all the same. */
  holdRecords(job: string, count: number): number;
  /** Runs of a pipeline that may wait. */
  readonly maxRuns: number;
  /** A run is deleted although it was not archived. */
  letGoRun(run: string): void;
  held(): number;
  /** Deleted without having been archived, since this master started. */
  letGo(): number;
};

/** `archivedUpTo`: infinite when nothing is to be archived. */
export function createHold(
  deps: { log: Log },
  archivedUpTo: () => Revision,
  limits = { records: MAX_HELD_RECORDS, runs: MAX_HELD_RUNS },
): Hold {
  const records = new Map<string, number>();
  let held = 0;
  let gone = 0;

  function letGo(fields: Record<string, unknown>, count: number): number {
    if (count > 0) {
      gone += count;
      deps.log.error({ ...fields, count }, "deleted from etcd before they were archived: the history is away for too long");
    }
    return count;
  }

  return {
    isArchived: (revision) => revision <= archivedUpTo(),
    holdRecords(job, count) {
      held -= records.get(job) ?? 0;
      const keep = Math.min(count, Math.max(0, limits.records - held));
      if (keep > 0) records.set(job, keep);
      else records.delete(job);
      held += keep;
      return letGo({ job }, count - keep);
    },
    maxRuns: limits.runs,
    letGoRun: (run) => void letGo({ run }, 1),
    held: () => held,
    letGo: () => gone,
  };
}
