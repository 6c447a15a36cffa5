/** Requests that end a Job or clear up after it. None of them throws for what is gone already. */
import { ApiFailure } from "./api-failure.ts";
import { jobsPath } from "./job-create.ts";
import { podSelection } from "./job-object.ts";
import { type Job, nameOf, type Pod } from "./objects.ts";
import type { Run } from "./run.ts";

/** `Foreground`: the Job stays until its pods have ended in their own time. `Background`: it is gone at once, and its pods soon. */
export async function deleteJob(
  run: Run,
  name: string,
  uid: string | undefined,
  how: "Foreground" | "Background",
  signal?: AbortSignal,
): Promise<void> {
  const preconditions = uid === undefined ? {} : { preconditions: { uid } };
  const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: how, ...preconditions };
  await ignoreGone(run.connection.api.call({ method: "DELETE", path: `${jobsPath(run.namespace)}/${name}`, body }, signal));
}

/** The Job and its pods, whatever they are doing; `known`: pods that were seen. The cluster may have made more since. */
export async function endByForce(run: Run, job: Job, known: readonly Pod[], signal: AbortSignal): Promise<void> {
  await deleteJob(run, nameOf(job), job.metadata?.uid, "Background", signal);
  const { path, labelSelector } = podSelection(run.namespace, job);
  const uid = job.metadata?.uid;
  const listed = await run.connection.api
    .call<{ items?: readonly Pod[] }>({ method: "GET", path, query: { labelSelector } }, signal)
    .then(({ items = [] }) => items.filter(({ metadata }) => metadata?.ownerReferences?.some((owner) => owner.uid === uid)))
    .catch(() => []);
  const all = new Map([...known, ...listed].map((pod) => [pod.metadata?.uid, pod]));
  await Promise.all([...all.values()].map((pod) => deletePod(run, pod, signal)));
}

/** Without waiting for anything in it. */
async function deletePod(run: Run, pod: Pod, signal?: AbortSignal): Promise<void> {
  const { name, uid } = pod.metadata ?? {};
  const body = { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0, ...(uid === undefined ? {} : { preconditions: { uid } }) };
  await ignoreGone(
    run.connection.api.call(
      { method: "DELETE", path: `/api/v1/namespaces/${encodeURIComponent(run.namespace)}/pods/${name}`, body },
      signal,
    ),
  );
}

export async function deleteSecret(run: Run, name: string, signal?: AbortSignal): Promise<void> {
  await ignoreGone(
    run.connection.api.call({ method: "DELETE", path: `/api/v1/namespaces/${encodeURIComponent(run.namespace)}/secrets/${name}` }, signal),
  );
}

/** 409: another object of the same name has taken its place. */
async function ignoreGone(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (thrown) {
    if (!(thrown instanceof ApiFailure) || (thrown.status !== 404 && thrown.status !== 409)) throw thrown;
  }
}
