/**
 * The records of a job since an instant, from etcd and the history, in the words of the checker; and from when on they are complete: what `retain` has deleted
 * and no history has kept is not known. Etcd away: it throws. The history away: etcd alone, which is said.
 */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { firstIdAt, idTimeMs } from "fleetcron-shared/base/ids";
import type { Run, Verdict } from "fleetcron-shared/check/history";
import { runOf, verdictOf } from "fleetcron-shared/check/records";
import type { Job } from "fleetcron-shared/model/job";
import { isAuditRecord, isVoid, MAX_SPAN_MS } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { prefixEnd, prefixRange } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Place } from "../history/history.ts";
import { recordsWithin } from "../history/merge.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";
import { scan } from "./scan.ts";

export type RecordDeps = Pick<OpsDeps, "kv" | "keys" | "clock" | "archive" | "caller">;
export type JobRecords = {
  readonly verdicts: readonly Verdict[];
  readonly runs: readonly Run[];
  /** What is due before it may have had records that are gone. */
  readonly completeFromMs: EpochMs;
  readonly isHistoryAway: boolean;
};
type Span = { readonly sinceMs: EpochMs; readonly untilMs: EpochMs };
/** How many more records one question may read. */
export type Budget = { records: number };

/** Clocks of nodes differ: an execution may bear an earlier time than its tick. */
const CLOCK_TOLERANCE_MS = 60_000;
const PAGE = 500;

export async function readRecords(deps: RecordDeps, job: Job, span: Span, budget: Budget): Promise<JobRecords> {
  const found = new Map<string, { readonly verdict: Verdict; readonly run: Run | undefined }>();
  const note = (record: ExecutionRecord) => {
    budget.records -= 1;
    if (budget.records < 0) throw tooMuch();
    if (record.partOf === undefined && !isVoid(record)) found.set(record.id, { verdict: verdictOf(record), run: runOf(record) });
  };
  const isHistoryAway = !(await readArchived(deps, job, span.sinceMs, note));
  // What etcd holds is newer: the history may have a provisional record yet.
  await readEtcd(deps, job, span.sinceMs, note);
  const completeFromMs = await completeFrom(deps, job, span.sinceMs, [...found.keys()], isHistoryAway);
  const isIn = ({ dueMs, dueUntilMs }: Verdict) => dueMs !== undefined && (dueUntilMs ?? dueMs) >= span.sinceMs && dueMs < span.untilMs;
  const isRunIn = ({ dueMs, beginMs }: Run) => (dueMs ?? beginMs) >= span.sinceMs && (dueMs ?? beginMs) < span.untilMs;
  const all = [...found.values()];
  return {
    verdicts: all.map(({ verdict }) => verdict).filter(isIn),
    runs: all.flatMap(({ run }) => (run !== undefined && isRunIn(run) ? [run] : [])),
    completeFromMs,
    isHistoryAway,
  };
}

/** Told to whoever asks for more than one answer can hold. */
export function tooMuch(): AppError {
  return new AppError("input/too-large", "the span holds too many ticks or records to be looked at in one go", {
    hint: "ask for a shorter span (since, until), or for one group or job at a time",
  });
}

/** False: there is a history, and it does not answer. */
async function readArchived(deps: RecordDeps, job: Job, sinceMs: EpochMs, note: (record: ExecutionRecord) => void): Promise<boolean> {
  const { archive, caller } = deps;
  if (archive === undefined) return true;
  let before: Place | undefined;
  do {
    const slice = await recordsWithin(archive.records, caller?.()?.groups, { job: job.key, sinceMs, before, limit: PAGE });
    if (slice === undefined) return false;
    slice.records.forEach(note);
    before = slice.next;
  } while (before !== undefined);
  return true;
}

async function readEtcd({ kv, keys }: RecordDeps, job: Job, sinceMs: EpochMs, note: (record: ExecutionRecord) => void): Promise<void> {
  const prefix = keys.recordsOf(job.group, job.id);
  const from = prefix + firstIdAt(sinceMs - CLOCK_TOLERANCE_MS);
  // A verdict of the auditor is named by the first of its ticks.
  const longer: string[] = [];
  for await (const { key } of scan(kv, { start: prefix + firstIdAt(sinceMs - MAX_SPAN_MS), end: from, keysOnly: true }))
    if (isAuditRecord(key)) longer.push(key);
  const take = (key: string, value: string | undefined) => {
    const record = value === undefined ? undefined : tryDecode<ExecutionRecord>(key, value);
    if (record !== undefined) note(record);
  };
  for (const [key, entry] of await readKeys(kv, longer)) take(key, entry?.value);
  for await (const { key, value } of scan(kv, { start: from, end: prefixEnd(prefix) })) take(key, value);
}

/** Records go oldest first, so nothing is missing behind the oldest that is left. */
async function completeFrom(
  { kv, keys, clock, archive, caller }: RecordDeps,
  job: Job,
  sinceMs: EpochMs,
  ids: readonly string[],
  isHistoryAway: boolean,
): Promise<EpochMs> {
  const { count, ageMs } = job.retain;
  const keptMs = ageMs > 0 ? clock.now() - ageMs : 0;
  const range = prefixRange(keys.recordsOf(job.group, job.id));
  const held = await kv.range({ ...range, limit: 1, keysOnly: true });
  if (held.count < count && sinceMs >= keptMs) return sinceMs;
  const oldest = idTimeMs(held.kvs[0]?.key.slice(range.start.length) ?? "");
  if (oldest !== undefined && oldest < sinceMs) return sinceMs;
  if (archive !== undefined && !isHistoryAway) {
    const before = await recordsWithin(archive.records, caller?.()?.groups, { job: job.key, untilMs: sinceMs, limit: 1 });
    if (before !== undefined && before.records.length > 0) return sinceMs;
  }
  const times = ids.flatMap((id) => idTimeMs(id) ?? []);
  const first = times.reduce((min, ms) => Math.min(min, ms), oldest ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(first) ? Math.max(sinceMs, first) : Math.max(sinceMs, keptMs, fromIso(job.source.meta.createdAt) ?? 0);
}
