/**
 * Why this host does not take a job that it is meant to run: its policy, a secret that it does not have, no room on its disk. Asked before a tick is
 * claimed, so that another node may take it. Nothing here needs etcd.
 */
import type { Job } from "fleetcron-shared/model/job";
import type { SkipReason } from "fleetcron-shared/model/record";
import type { PolicyGuard } from "../policy/policy.ts";
import type { Origin } from "../run/execution.ts";
import type { Secrets } from "../secrets/secrets.ts";

/** A verdict before anything has begun; `detail` says what to do about it. */
export type Refusal = { readonly reason: SkipReason; readonly detail?: string };

export type AdmissionDeps = {
  readonly policy: Pick<PolicyGuard, "refusal">;
  readonly secrets: Pick<Secrets, "refusal">;
  /** Why the disk allows nothing new, if so. */
  readonly diskRefusal: () => string | undefined;
};

/** The first reason that holds; undefined when the job may begin here. */
export function refusalOf(deps: AdmissionDeps, job: Job, origin: Origin | undefined): Refusal | undefined {
  const byPolicy = deps.policy.refusal(job, origin?.type === "order" ? origin.env : undefined);
  if (byPolicy !== undefined) return { reason: "policy", detail: byPolicy };
  const bySecrets = deps.secrets.refusal(job);
  if (bySecrets !== undefined) return { reason: "secrets", detail: bySecrets };
  const byDisk = deps.diskRefusal();
  return byDisk === undefined ? undefined : { reason: "diskFull", detail: byDisk };
}
