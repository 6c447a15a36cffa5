/** Which pipelines name a job, so that it is not deleted under them. */
import { AppError } from "fleetcron-shared/base/errors";
import { parseJobReference, tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { reaches } from "../caller.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import type { OpsDeps } from "./ops-deps.ts";

const SHOWN = 5;

/** By name, sorted. */
export function usersOf(deps: Pick<OpsDeps, "views" | "allPipelines" | "caller">, ref: JobRef): string[] {
  const caller = deps.caller?.();
  const users = [...(deps.allPipelines ?? deps.views.pipelines).entries()].filter(([, { stored }]) =>
    tasksOf(stored.spec).some(({ task }) => typeof task.job === "string" && parseJobReference(task.job)?.key === toKey(ref)),
  );
  const nameOf = (stored: JobRef) => (caller === undefined || reaches(caller, stored.group) ? toKey(stored) : "(one of another group)");
  return users.map(([, { stored }]) => nameOf(stored)).sort();
}

/** `users`: at least one. */
export function inUse(ref: JobRef, users: readonly string[], hint: string): AppError {
  const names = users.length > SHOWN ? `${users.slice(0, SHOWN).join(", ")} and ${users.length - SHOWN} more` : users.join(", ");
  const message = `job ${toKey(ref)} is a task of ${users.length === 1 ? "the pipeline" : "the pipelines"} ${names}`;
  return new AppError("job/in-use", message, { hint });
}
