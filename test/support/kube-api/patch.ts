/** The patches of the API: merge, strategic merge and server-side apply, as far as workloads need them. */
import { Refused, type Stored } from "./store.ts";

type Plain = Record<string, unknown>;

/** Lists whose items are known by a field. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  env: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  ports: "containerPort",
};

export function patched(object: Stored, patch: Stored, type: string, query: URLSearchParams): Stored {
  switch (type) {
    case "application/merge-patch+json":
      return merge(object, patch, false) as Stored;
    case "application/strategic-merge-patch+json":
      if (query.has("force"))
        throw new Refused(
          422,
          "Invalid",
          'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
        );
      return merge(object, patch, true) as Stored;
    case "application/apply-patch+yaml":
      return applied(object, patch, query);
    default:
      throw new Refused(
        415,
        "UnsupportedMediaType",
        `the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml`,
      );
  }
}

/** Fields of another manager are kept unless `force` takes them: the test object says which those are. */
function applied(object: Stored, patch: Stored, query: URLSearchParams): Stored {
  if ((query.get("fieldManager") ?? "") === "")
    throw new Refused(400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch");
  if (patch.metadata?.resourceVersion !== undefined && patch.metadata.resourceVersion !== object.metadata.resourceVersion)
    throw new Refused(409, "Conflict", "the object has been modified");
  const other = object.metadata.annotations?.["test/replicas-managed-by"];
  if (
    other !== undefined &&
    patch.spec?.replicas !== undefined &&
    patch.spec.replicas !== object.spec?.replicas &&
    query.get("force") !== "true"
  )
    throw new Refused(409, "Conflict", `Apply failed with 1 conflict: conflict with "${other}": .spec.replicas`);
  return merge(object, patch, true) as Stored;
}

function merge(target: unknown, patch: unknown, strategic: boolean, field = ""): unknown {
  const key = MERGE_KEYS[field];
  if (strategic && key !== undefined && Array.isArray(target) && Array.isArray(patch)) {
    const changed = (target as Plain[]).map((item) => {
      const change = (patch as Plain[]).find((one) => one[key] === item[key]);
      return change === undefined ? item : merge(item, change, true);
    });
    const added = (patch as Plain[]).filter((one) => !(target as Plain[]).some((item) => item[key] === one[key]));
    return [...changed, ...added];
  }
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Plain = typeof target === "object" && target !== null && !Array.isArray(target) ? { ...(target as Plain) } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merge(result[name], value, strategic, name);
  }
  return result;
}
