/** Whether a rollout has ended: the rules of `kubectl rollout status`, for each kind. Pure. */
import type { RolloutKind } from "fleetcron-shared/model/runners/kubernetes-check";
import { type ContainerStatus, conditionOf, nameOf, type Pod, statusesOf, type Workload } from "./objects.ts";
import { podStuck } from "./verdict.ts";

export type RolloutStatus =
  | { readonly is: "going"; readonly words: string }
  | { readonly is: "done"; readonly words: string }
  /** It will not end by itself. */
  | { readonly is: "stuck"; readonly words: string };

/** kubectl's own "no deadline". */
const NO_DEADLINE = 2_147_483_647;

export function rolloutStatus(kind: RolloutKind, object: Workload): RolloutStatus {
  const name = `the ${kind} ${nameOf(object)}`;
  if (kind !== "Deployment" && (object.spec?.updateStrategy?.type ?? "RollingUpdate") !== "RollingUpdate")
    return {
      is: "stuck",
      words: `${name} has updateStrategy ${object.spec?.updateStrategy?.type}, so its pods are replaced only when somebody deletes them`,
    };
  if ((object.status?.observedGeneration ?? 0) < (object.metadata?.generation ?? 0))
    return going("waiting until the cluster has seen the change");
  if (kind === "Deployment") return deployment(name, object);
  return kind === "StatefulSet" ? statefulSet(name, object) : daemonSet(name, object);
}

/** Whether the cluster itself says when the rollout takes too long. */
export function hasDeadline(kind: RolloutKind, object: Workload): boolean {
  return kind === "Deployment" && (object.spec?.progressDeadlineSeconds ?? NO_DEADLINE) < NO_DEADLINE;
}

function deployment(name: string, { spec, status = {}, ...object }: Workload): RolloutStatus {
  if (spec?.paused === true)
    return { is: "stuck", words: `${name} is paused, so nothing is rolled out; resume it with kubectl rollout resume` };
  const progressing = conditionOf({ status }, "Progressing");
  if (progressing?.reason === "ProgressDeadlineExceeded")
    return { is: "stuck", words: `${name} has exceeded its progressDeadlineSeconds: ${progressing.message ?? ""}` };
  const { replicas = 0, updatedReplicas: updated = 0, availableReplicas: available = 0 } = status;
  const wanted = spec?.replicas ?? 1;
  if (updated < wanted) return going(`${updated} of ${wanted} new replicas have been updated`);
  if (replicas > updated) return going(`${replicas - updated} old replicas are pending termination`);
  if (available < updated) return going(`${available} of ${updated} updated replicas are available`);
  return done(`${nameOf(object)}: ${available} of ${wanted} replicas are updated and available`);
}

function statefulSet(name: string, { spec, status = {} }: Workload): RolloutStatus {
  const { readyReplicas: ready = 0, updatedReplicas: updated = 0, currentRevision, updateRevision } = status;
  const wanted = spec?.replicas ?? 1;
  if (ready < wanted) return going(`${ready} of ${wanted} pods are ready`);
  const partition = spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition > 0) {
    const part = Math.max(0, wanted - partition);
    return updated < part
      ? going(`${updated} of ${part} pods of the partition have been updated`)
      : done(`${name}: ${updated} pods of the partition are updated`);
  }
  if (updateRevision !== currentRevision) return going(`${updated} of ${wanted} pods are at the revision ${updateRevision}`);
  return done(`${name}: ${ready} of ${wanted} pods are updated and ready`);
}

function daemonSet(name: string, { status = {} }: Workload): RolloutStatus {
  const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled: updated = 0, numberAvailable: available = 0 } = status;
  if (updated < wanted) return going(`${updated} of ${wanted} new pods have been updated`);
  if (available < wanted) return going(`${available} of ${wanted} updated pods are available`);
  return done(`${name}: ${available} of ${wanted} pods are updated and available`);
}

function going(words: string): RolloutStatus {
  return { is: "going", words };
}

function done(words: string): RolloutStatus {
  return { is: "done", words };
}

/** Why the new pods of a rollout do not come up, in words: at most five. */
export function podReasons(object: Workload, pods: readonly Pod[]): string[] {
  const mine = pods.filter((pod) => isNew(object, pod));
  return [...new Set(mine.flatMap((pod) => podReason(pod) ?? []))].slice(0, 5);
}

function podReason(pod: Pod): string | undefined {
  const stuck = podStuck(pod);
  if (stuck !== undefined) return stuck.error;
  const looping = statusesOf(pod).find(({ state }) => state?.waiting?.reason === "CrashLoopBackOff");
  return looping === undefined
    ? undefined
    : `the container ${looping.name} of the pod ${nameOf(pod)} crashes again and again${lastEnd(looping)}`;
}

function lastEnd({ lastState }: ContainerStatus): string {
  const end = lastState?.terminated;
  return end === undefined
    ? ""
    : `; the last time with exit code ${end.exitCode ?? "?"}${end.reason === undefined ? "" : ` (${end.reason})`}`;
}

/** Pods of the old form are none of the rollout's business; the new ones have its images. */
function isNew(object: Workload, pod: Pod): boolean {
  const wanted = object.spec?.template?.spec?.containers ?? [];
  return wanted.every(({ name, image }) => pod.spec?.containers?.find((one) => one.name === name)?.image === image);
}
