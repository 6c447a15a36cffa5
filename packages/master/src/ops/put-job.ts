/** Writes one job, conditionally on the revision that the caller has seen. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { parseJobSpec } from "fleetcron-shared/model/job-check";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import { absent, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { type JobRef, toKey } from "../job-ref.ts";
import { type JobEntry, jobEntry } from "../views.ts";
import { missingChannels } from "./channels.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { putUnder } from "./settle.ts";
import { submitted } from "./stored-job.ts";

/** Creates or replaces the job; `ifRevision` 0 means that it must not exist. Throws `input/invalid`, `write/conflict`. */
export async function putJob(
  deps: OpsDeps,
  ref: JobRef,
  spec: unknown,
  ifRevision: number | undefined,
): Promise<{ entry: JobEntry; created: boolean }> {
  const checked = parseJobSpec(ref.group, ref.id, spec, deps.clock.now());
  const issues = await missingChannels(deps, [{ path: `jobs.${toKey(ref)}`, rules: checked.notify }]);
  if (issues.length > 0) throw new AppError("input/invalid", `the job ${toKey(ref)} is not accepted`, { issues });
  const key = deps.keys.job(ref.group, ref.id);
  const before = await deps.kv.get(key);
  if (ifRevision !== undefined && ifRevision !== (before?.modRevision ?? 0)) throw conflict(ref, ifRevision, before?.modRevision);
  const stored = submitted(ref, checked, before === undefined ? undefined : decode<StoredJob>(key, before.value), toIso(deps.clock.now()));
  if (stored === undefined && before !== undefined) return { entry: jobEntry(before), created: false };
  if (stored === undefined) throw new AppError("internal/bug", "a new job came out as unchanged");
  const value = encode(stored);
  const condition = before === undefined ? absent(key) : unchanged(key, before.modRevision);
  const revision = await putUnder(deps.kv, condition, key, value);
  if (revision === undefined) throw conflict(ref, before?.modRevision ?? 0, (await deps.kv.get(key))?.modRevision);
  await deps.views.jobs.reached(revision);
  return { entry: jobEntry({ key, value, modRevision: revision }), created: before === undefined };
}

/** The job was at `seen` for the caller and is at `now` (undefined: gone). */
export function conflict(ref: JobRef, seen: number, now: number | undefined): AppError {
  const is = now === undefined ? "it is deleted" : `it is at revision ${now}`;
  return new AppError("write/conflict", `job ${toKey(ref)} is not at revision ${seen}: ${is}`, {
    hint: "read it again and repeat the change",
  });
}
