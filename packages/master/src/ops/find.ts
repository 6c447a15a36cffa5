/** Finds what a request names: in memory, or in etcd when it is too new to be there yet. */
import { AppError } from "fleetcron-shared/base/errors";
import { suggest } from "fleetcron-shared/base/suggest";
import { type JobRef, toKey } from "../job-ref.ts";
import { type JobEntry, jobEntry, type NodeEntry, nodeEntry } from "../views.ts";
import type { OpsDeps } from "./ops-deps.ts";

type FindDeps = Pick<OpsDeps, "kv" | "keys" | "views">;

/** The job; throws `job/not-found` with the nearest name there is. */
export async function findJob(deps: FindDeps, ref: JobRef): Promise<JobEntry> {
  const key = deps.keys.job(ref.group, ref.id);
  const known = deps.views.jobs.get(key);
  if (known !== undefined) return known;
  return readJob(deps, ref);
}

/** The job as etcd has it now. */
export async function readJob(deps: FindDeps, ref: JobRef): Promise<JobEntry> {
  const kv = await deps.kv.get(deps.keys.job(ref.group, ref.id));
  if (kv !== undefined) return jobEntry(kv);
  const names = [...deps.views.jobs.entries()].map(([, { job }]) => job.key);
  throw new AppError("job/not-found", `there is no job ${toKey(ref)}`, didYouMean(suggest(toKey(ref), names)));
}

/** The node; throws `node/not-found`. */
export async function findNode(deps: FindDeps, id: string): Promise<NodeEntry> {
  const key = deps.keys.node(id);
  const known = deps.views.nodes.get(key);
  if (known !== undefined) return known;
  return readNode(deps, id);
}

/** The node as etcd has it now. */
export async function readNode(deps: FindDeps, id: string): Promise<NodeEntry> {
  const kv = await deps.kv.get(deps.keys.node(id));
  if (kv !== undefined) return nodeEntry(kv);
  const names = [...deps.views.nodes.entries()].map(([, { info }]) => info.id);
  throw new AppError("node/not-found", `there is no node ${id}`, didYouMean(suggest(id, names)));
}

function didYouMean(word: string | undefined): { hint?: string } {
  return word === undefined ? {} : { hint: `did you mean ${word}?` };
}
