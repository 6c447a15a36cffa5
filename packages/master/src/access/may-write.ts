/** Whether a caller may make a write of the API: by the family of each key and, for pipelines, by what they would start. */
import { AppError } from "fleetcron-shared/base/errors";
import { parseJobReference, type StoredPipeline, tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { Op } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { type Caller, needCluster, needGroup, needRole, reaches } from "../caller.ts";
import { fromKey } from "../job-ref.ts";
import { familyOf } from "./families.ts";

/** Throws `auth/denied`, `auth/scope`. */
export function checkWrite(keys: Keys, caller: Caller, op: Op): void {
  if (op.op === "get") return;
  const value = op.op === "put" ? op.value : undefined;
  const { name, family, owner } = familyOf(keys, op.key, value);
  if (owner === "open") return;
  needRole(caller, family.role, `changing ${family.audit === undefined ? name : `a ${family.audit}`}`);
  if (caller.groups === undefined) return;
  if (owner === "cluster") needCluster(caller, `changing ${name}`);
  else needGroup(caller, owner.group);
  if (name === "pipelines" && value !== undefined) checkPipeline(caller, tryDecode<StoredPipeline>(op.key, value));
}

/** A pipeline runs its jobs with the leader's hands, and is told of the pipelines it follows: both must be within the groups. */
function checkPipeline(caller: Caller, stored: StoredPipeline | undefined): void {
  if (stored === undefined) return;
  const jobs = tasksOf(stored.spec).flatMap(({ task }) =>
    typeof task.job === "string" ? [parseJobReference(task.job)?.key ?? task.job] : [],
  );
  const followed = (stored.spec.triggers ?? []).flatMap(({ pipeline }) => (pipeline === undefined ? [] : [pipeline.after]));
  const outside = [...jobs, ...followed].find((key) => !reaches(caller, fromKey(key).group));
  if (outside === undefined) return;
  throw new AppError(
    "auth/scope",
    `pipeline ${stored.group}/${stored.id} names ${outside}, which is outside of ${caller.groups?.join(", ")}`,
    {
      hint: "name jobs and pipelines of your groups, or use a token without groups",
    },
  );
}
