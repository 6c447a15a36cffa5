/**
 * Finds the records of an execution, also those that have left etcd. Its job is mostly not known, and ids do not name it: the history knows; where it does
 * not, each job that has filed since the execution began is asked, a few at a time.
 */

import { fromIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { idTimeMs } from "fleetcron-shared/base/ids";
import { isVoid } from "fleetcron-shared/model/missed";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { prefixRange } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { checkPart } from "fleetcron-shared/wire/keys";
import { reaches } from "../caller.ts";
import type { History } from "../history/history.ts";
import { fromKey, type JobRef } from "../job-ref.ts";
import type { OpsDeps } from "./ops-deps.ts";

type FindDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "archive" | "caller">;

const IN_FLIGHT = 16;

/** The record; throws `record/not-found`. `job` (`group/id`) saves the search. */
export async function findRecord(deps: FindDeps, id: string, job: string | undefined): Promise<ExecutionRecord> {
  checkPart(id);
  const archived = await visible(deps, job, async (history) => [await history.record(id)]);
  const [kept] = archived;
  const found = (await findByPrefix(deps, id, id, job ?? jobOf(kept))).find((record) => record.id === id) ?? kept;
  if (found === undefined) {
    throw new AppError("record/not-found", `there is no record ${id}`, {
      hint: "it may be older than its job's retention and the history",
    });
  }
  return found;
}

/** The records of an execution, one per attempt, oldest first; empty when there is none. */
export async function findExecutionRecords(deps: FindDeps, execution: string, job: string | undefined): Promise<ExecutionRecord[]> {
  checkPart(execution);
  const archived = await visible(deps, job, (history) => history.recordsOf(execution));
  const fresh = await findByPrefix(deps, execution, `${execution}-`, job ?? jobOf(archived[0]));
  // What etcd holds is newer: the history may have a provisional record yet.
  const all = new Map([...archived, ...fresh].map((record) => [record.id, record]));
  return [...all.values()].filter((record) => record.execution === execution).sort((a, b) => a.attempt - b.attempt);
}

/** What the history has, as far as the caller may see it. */
async function visible(
  { archive, caller }: FindDeps,
  job: string | undefined,
  read: (history: History) => Promise<readonly (ExecutionRecord | undefined)[]>,
): Promise<ExecutionRecord[]> {
  const who = caller?.();
  const found = (await archive?.read(read)) ?? [];
  return found.filter(
    (record) =>
      record !== undefined && (who === undefined || reaches(who, record.jobGroup)) && (job === undefined || jobOf(record) === job),
  ) as ExecutionRecord[];
}

function jobOf(record: ExecutionRecord | undefined): string | undefined {
  return record === undefined ? undefined : `${record.jobGroup}/${record.jobId}`;
}

async function findByPrefix(deps: FindDeps, id: string, prefix: string, job: string | undefined): Promise<ExecutionRecord[]> {
  const refs = job === undefined ? jobsSince(deps, idTimeMs(id) ?? 0) : [fromKey(job)];
  const found: ExecutionRecord[] = [];
  let next = 0;
  const worker = async () => {
    for (let ref = refs[next++]; ref !== undefined && found.length === 0; ref = refs[next++]) {
      const { kvs } = await deps.kv.range({ ...prefixRange(deps.keys.recordsOf(ref.group, ref.id) + prefix), limit: 100 });
      for (const kv of kvs) {
        const record = tryDecode<ExecutionRecord>(kv.key, kv.value);
        if (record !== undefined && !isVoid(record)) found.push(record);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, refs.length) }, worker));
  return found;
}

/** Jobs whose newest result is not older than `ms`: only they can hold the record. */
function jobsSince(deps: FindDeps, ms: number): JobRef[] {
  const refs: JobRef[] = [];
  for (const [key, { stats }] of deps.views.stats.entries()) {
    const [, group, id] = deps.keys.parts(key);
    if (group !== undefined && id !== undefined && (fromIso(stats.last?.endTime ?? "") ?? 0) >= ms) refs.push({ group, id });
  }
  return refs;
}
