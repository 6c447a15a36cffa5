/** Naming a job by its two parts. */
import type { JobKey } from "fleetcron-shared/model/job-spec";

export type JobRef = { readonly group: string; readonly id: string };

/** The parts of `group/id`. */
export function fromKey(key: JobKey): JobRef {
  const slash = key.indexOf("/");
  return { group: key.slice(0, slash), id: key.slice(slash + 1) };
}

/** `group/id`. */
export function toKey(ref: JobRef): JobKey {
  return `${ref.group}/${ref.id}`;
}
