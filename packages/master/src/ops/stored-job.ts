/** The stored form of a submitted job, made from what is stored now. Pure. */
import type { JobSpec, StoredJob } from "fleetcron-shared/model/job-spec";
import type { JobRef } from "../job-ref.ts";
import { sameSpec } from "./spec-diff.ts";

/** What to store, or undefined when that would change nothing. */
export function submitted(ref: JobRef, spec: JobSpec, before: StoredJob | undefined, now: string): StoredJob | undefined {
  if (before === undefined) return { v: 1, group: ref.group, id: ref.id, createdAt: now, updatedAt: now, submittedAt: now, spec };
  const kept = keepPause(spec, before.spec);
  if (sameSpec(kept, before.spec)) return undefined;
  // `onlyonce` and `manyonce` count from the submission: pausing is none.
  const onlyPause = sameSpec({ ...kept, pause: false }, { ...before.spec, pause: false });
  return { ...before, updatedAt: now, submittedAt: onlyPause ? before.submittedAt : now, spec: kept };
}

/** A spec that does not mention `pause` leaves an operator's `job pause` in place. */
function keepPause(spec: JobSpec, before: JobSpec): JobSpec {
  return spec.pause === undefined && before.pause !== undefined ? { ...spec, pause: before.pause } : spec;
}
