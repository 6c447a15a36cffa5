/** What the auditor reads of etcd: the records of one job, and claims. Only of jobs with ticks that nobody has reported. Etcd away: it throws. */
import { firstIdAt, idTimeMs } from "fleetcron-shared/base/ids";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { isAuditRecord, isVoid, rangeOfRecord, spanOf, type TickSpan } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { prefixEnd } from "fleetcron-shared/store/kv";
import { decode, tryDecode } from "fleetcron-shared/wire/codec";
import { readKeys } from "../ops/read-keys.ts";
import { scan, scanPrefix } from "../ops/scan.ts";
import type { HeldRange, OpenTick } from "./audit-trouble.ts";
import type { LeaderDeps } from "./leader-deps.ts";

type ReadDeps = Pick<LeaderDeps, "kv" | "keys">;

/** An execution may bear an earlier time than its tick: clocks of nodes differ. */
const CLOCK_TOLERANCE_MS = 60_000;
const NEWEST = 50;

export type JobRecords = {
  /** The auditor's own. */
  readonly ranges: readonly HeldRange[];
  /** Keys of verdicts that were taken back and not deleted. */
  readonly voids: readonly { readonly key: string; readonly revision: number }[];
  /** What the others are about. */
  readonly spans: readonly TickSpan[];
  /** Records of ticks before may have gone by retention. */
  readonly completeFromMs: number;
};

/** `sinceMs`: of which ticks reports are asked for, beside those of the ranges; undefined: of none, only the ranges are read. `all`: also of the ranges. */
export async function readJobRecords(
  { kv, keys }: ReadDeps,
  job: Pick<Job, "group" | "id" | "retain">,
  ask: { readonly sinceMs: number | undefined; readonly all: boolean },
): Promise<JobRecords> {
  const prefix = keys.recordsOf(job.group, job.id);
  const all: string[] = [];
  for await (const { key } of scanPrefix(kv, prefix, { keysOnly: true })) all.push(key);
  const own = await readKeys(
    kv,
    all.filter((key) => isAuditRecord(key)),
  );
  const ranges: HeldRange[] = [];
  const voids: { key: string; revision: number }[] = [];
  for (const [key, entry] of own) {
    if (entry === undefined) continue;
    const record = decode<ExecutionRecord>(key, entry.value);
    const range = rangeOfRecord(record);
    if (range !== undefined) ranges.push({ range, record, revision: entry.modRevision });
    else if (isVoid(record)) voids.push({ key, revision: entry.modRevision });
  }
  const bounds = [...(ask.sinceMs === undefined ? [] : [ask.sinceMs]), ...(ask.all ? ranges.map(({ range }) => range.firstMs) : [])];
  const spans: TickSpan[] = [];
  if (bounds.length > 0) {
    const start = prefix + firstIdAt(Math.min(...bounds) - CLOCK_TOLERANCE_MS);
    for await (const entry of scan(kv, { start, end: prefixEnd(prefix) })) {
      if (isAuditRecord(entry.key)) continue;
      const span = spanOf(tryDecode<ExecutionRecord>(entry.key, entry.value) ?? NOTHING);
      if (span !== undefined) spans.push(span);
    }
  }
  const oldestMs = idTimeMs(all[0]?.slice(prefix.length) ?? "");
  const completeFromMs = all.length >= job.retain.count && oldestMs !== undefined ? oldestMs + 1 : 0;
  return { ranges, voids, spans, completeFromMs };
}

const NOTHING = { id: "" } as ExecutionRecord;

/** Of the newest records of a job, the one that ended last; not those of `without`. */
export async function newestRecord(
  { kv, keys }: ReadDeps,
  job: Pick<Job, "group" | "id">,
  without: ReadonlySet<string>,
): Promise<ExecutionRecord | undefined> {
  const prefix = keys.recordsOf(job.group, job.id);
  const { kvs } = await kv.range({ start: prefix, end: prefixEnd(prefix), reverse: true, limit: NEWEST });
  const records = kvs.flatMap((entry) => tryDecode<ExecutionRecord>(entry.key, entry.value) ?? []);
  return records
    .filter((record) => !without.has(record.id) && !isVoid(record) && record.partOf === undefined)
    .sort((a, b) => (a.endTime < b.endTime ? 1 : -1))[0];
}

/** The claims of these ticks, by key. */
export async function readClaims({ kv, keys }: ReadDeps, ticks: readonly OpenTick[]): Promise<Map<string, Claim>> {
  const found = new Map<string, Claim>();
  for (const [key, entry] of await readKeys(
    kv,
    ticks.map((tick) => claimKey(keys, tick)),
  )) {
    const claim = entry === undefined ? undefined : tryDecode<Claim>(key, entry.value);
    if (claim !== undefined) found.set(key, claim);
  }
  return found;
}

export function claimKey(keys: ReadDeps["keys"], { of, dueMs }: OpenTick): string {
  return keys.claim(of.job.group, of.job.id, of.rule.id, dueMs);
}
