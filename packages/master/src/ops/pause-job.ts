/** Pauses and resumes a job. Idempotent; not a submission, so `onlyonce` and `manyonce` do not run again. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import { unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { type JobRef, toKey } from "../job-ref.ts";
import { type JobEntry, jobEntry } from "../views.ts";
import { readJob } from "./find.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { putUnder } from "./settle.ts";

/** Others may edit the job at the same time; theirs and this one both hold. */
const TRIES = 10;

export async function pauseJob(deps: OpsDeps, ref: JobRef, pause: boolean): Promise<JobEntry> {
  const key = deps.keys.job(ref.group, ref.id);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const entry = await readJob(deps, ref);
    if (entry.job.pause === pause) return entry;
    const stored: StoredJob = { ...entry.stored, updatedAt: toIso(deps.clock.now()), spec: { ...entry.stored.spec, pause } };
    const value = encode(stored);
    const revision = await putUnder(deps.kv, unchanged(key, entry.job.revision), key, value);
    if (revision === undefined) continue;
    await deps.views.jobs.reached(revision);
    return jobEntry({ key, value, modRevision: revision });
  }
  throw new AppError("write/conflict", `job ${toKey(ref)} is being changed all the time`);
}
