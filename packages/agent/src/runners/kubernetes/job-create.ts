/** The Job of an attempt, made once: its name is the same at every start, so what a lost answer or a crash has left behind is found and not made again. */
import type { Outcome } from "fleetcron-shared/model/record";
import type { Manifest } from "fleetcron-shared/model/runners/kubernetes-manifest";
import { ApiFailure } from "./api-failure.ts";
import { Ended, failed, refusal } from "./failed.ts";
import { type JobObject, jobObject, OWNER, ownerOf, secretObject } from "./job-object.ts";
import type { Job } from "./objects.ts";
import { persist } from "./retry.ts";
import type { Run, RunDeps } from "./run.ts";

export function jobsPath(namespace: string): string {
  return `/apis/batch/v1/namespaces/${encodeURIComponent(namespace)}/jobs`;
}

/** The Job, found or created; throws Ended. `sent`: called before a request that may create it. */
export async function obtainJob(deps: RunDeps, run: Run, manifest: Manifest, sent: () => void): Promise<Job> {
  const wanted = jobObject(manifest, run.namespace, run.context);
  const { name } = wanted.metadata;
  const doing = `look for the Job ${run.namespace}/${name}`;
  const find = () => findJob(run, name, run.term);
  // Nothing was begun yet, so a cluster that is away is another matter than one that goes away later.
  const found = await persist(deps, find, run.term, run.trace === undefined ? deps.timing.reachMs : undefined).catch((thrown) => {
    throw thrown instanceof ApiFailure ? refusal(thrown, doing) : thrown;
  });
  if (found !== undefined) return ours(found, run);
  if (run.trace !== undefined) throw new Ended(vanished(deps, run.trace, name));
  sent();
  return await persist(deps, () => create(run, wanted), run.term).catch((thrown) => {
    throw thrown instanceof ApiFailure ? refusal(thrown, `create the Job ${run.namespace}/${name}`) : thrown;
  });
}

/** A repeated request finds what the one before has made although its answer was lost. */
async function create(run: Run, wanted: JobObject): Promise<Job> {
  const call = {
    method: "POST",
    path: jobsPath(run.namespace),
    query: { fieldManager: "fleetcron", fieldValidation: "Strict" },
    body: wanted,
  } as const;
  try {
    return await run.connection.api.call<Job>(call, run.term);
  } catch (thrown) {
    if (!(thrown instanceof ApiFailure) || thrown.reason !== "AlreadyExists") throw thrown;
    const found = await findJob(run, wanted.metadata.name, run.term);
    if (found === undefined) throw new ApiFailure("network", "the Job that was there is gone again");
    return ours(found, run);
  }
}

/** Undefined when there is none; throws ApiFailure. */
export async function findJob(run: Run, name: string, signal: AbortSignal): Promise<Job | undefined> {
  try {
    return await run.connection.api.call<Job>({ method: "GET", path: `${jobsPath(run.namespace)}/${name}` }, signal);
  } catch (thrown) {
    if (thrown instanceof ApiFailure && thrown.status === 404 && thrown.reason === "NotFound") return undefined;
    throw thrown;
  }
}

function ours(job: Job, run: Run): Job {
  const owner = job.metadata?.annotations?.[OWNER];
  if (owner === ownerOf(run.context)) return job;
  const whose = owner === undefined ? "nothing says that fleetcron has made it" : `it belongs to the execution ${owner}`;
  throw failed("kubernetes/conflict", `there is a Job ${run.namespace}/${job.metadata?.name ?? "?"} already, and ${whose}`);
}

/** A Job that was there and is not any more: the cluster itself removes it some time after its end. */
function vanished(deps: RunDeps, trace: NonNullable<Run["trace"]>, name: string): Outcome {
  if (trace.ttlSeconds !== undefined && deps.clock.now() - trace.atMs > trace.ttlSeconds * 1000) return { type: "lost", why: "session" };
  return { type: "failed", code: "kubernetes/deleted", error: `the Job ${trace.namespace}/${name} was deleted while nobody followed it` };
}

/** The Secret that the Job's pods wait for; throws Ended. Its values never appear in an error. */
export async function ensureSecret(deps: RunDeps, run: Run, job: Job): Promise<void> {
  const body = secretObject(job, run.context);
  if (body === undefined) return;
  const path = `/api/v1/namespaces/${encodeURIComponent(run.namespace)}/secrets`;
  const post = () => run.connection.api.call({ method: "POST", path, query: { fieldManager: "fleetcron" }, body }, run.term);
  await persist(deps, post, run.term).catch((thrown) => {
    if (!(thrown instanceof ApiFailure)) throw thrown;
    if (thrown.reason === "AlreadyExists") return;
    const safe = thrown.status === 403 || thrown.kind !== "status" ? thrown.message : `HTTP ${thrown.status} ${thrown.reason}`;
    throw refusal(new ApiFailure(thrown.kind, safe, thrown), `create the Secret of the job's secrets in ${run.namespace}`);
  });
}
