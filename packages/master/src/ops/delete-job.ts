/** Deletes one job. Its dispatches go by the dispatcher, its records by the janitor when they are too old. */
import { AppError } from "fleetcron-shared/base/errors";
import { exists, unchanged } from "fleetcron-shared/store/kv";
import { type JobRef, toKey } from "../job-ref.ts";
import { readJob } from "./find.ts";
import { inUse, usersOf } from "./job-users.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { conflict } from "./put-job.ts";
import { settle } from "./settle.ts";

export type Deletion = {
  readonly ifRevision?: number | undefined;
  /** Although pipelines name it: they fail to start from then on. */
  readonly force?: boolean;
};

/** Throws `job/not-found`, `job/in-use`, `write/conflict`. */
export async function deleteJob(deps: OpsDeps, ref: JobRef, { ifRevision, force = false }: Deletion = {}): Promise<string> {
  const users = force ? [] : usersOf(deps, ref);
  if (users.length > 0)
    throw inUse(ref, users, "take it out of their tasks first; with --force (REST: ?force=true) they keep a task that cannot run");
  const key = deps.keys.job(ref.group, ref.id);
  const condition = ifRevision === undefined ? exists(key) : unchanged(key, ifRevision);
  const result = await settle(deps.kv, { if: [condition], then: [{ op: "delete", key }] });
  if (!result.succeeded) {
    const { job } = await readJob(deps, ref);
    throw ifRevision === undefined
      ? new AppError("write/conflict", `job ${toKey(ref)} was created this moment`)
      : conflict(ref, ifRevision, job.revision);
  }
  await deps.views.jobs.reached(result.revision);
  return toKey(ref);
}
