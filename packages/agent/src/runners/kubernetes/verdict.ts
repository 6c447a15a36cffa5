/** What a Job and its pods say: whether it is over, how, and what keeps it from going on. Pure. */
import type { Outcome } from "fleetcron-shared/model/record";
import type { KubernetesCode } from "./failed.ts";
import { type ContainerStatus, conditionOf, type Job, nameOf, type Pod, statusesOf, type Terminated } from "./objects.ts";

/** Nothing but time has shown yet that it is hopeless. */
export type Stuck = {
  readonly key: string;
  readonly code: KubernetesCode;
  readonly error: string /** It can never go on. */;
  readonly forGood?: true;
};

/** How the Job ended; undefined while it has not. `pods`: all that were ever seen. */
export function jobOutcome(job: Job, pods: readonly Pod[]): Outcome | undefined {
  if (conditionOf(job, "Complete")?.status === "True") return { type: "exit", code: 0 };
  const condition = conditionOf(job, "Failed");
  if (condition?.status !== "True") return undefined;
  const said = [condition.reason, condition.message].filter(Boolean).join(": ");
  const fail = (code: KubernetesCode, error: string): Outcome => ({ type: "failed", code, error });
  if (condition.reason === "DeadlineExceeded") return fail("kubernetes/deadline", `the Job ${nameOf(job)} has failed: ${said}`);
  return firstFailure(pods) ?? fail("kubernetes/backoffLimit", `the Job ${nameOf(job)} has failed: ${said || "without a reason"}`);
}

/** What went wrong first in the pods. */
function firstFailure(pods: readonly Pod[]): Outcome | undefined {
  const causes = pods.flatMap((pod): { at: number; outcome: Outcome }[] => {
    const taken = takenAway(pod);
    const ends = statusesOf(pod).flatMap((status) => endsOf(status).map((end) => ({ status, end })));
    const own = ends.filter(({ end }) => end.exitCode !== 0 && isOwn(end, taken?.at));
    const causes = own.map(({ status, end }) => ({ at: timeOf(end.finishedAt), outcome: endOutcome(status, end) }));
    return taken === undefined ? causes : [...causes, taken];
  });
  return causes.toSorted((a, b) => a.at - b.at)[0]?.outcome;
}

/** Whether a container ended by itself: before its pod was taken away at `taken`. Times are whole seconds, so in the same second its code decides. */
function isOwn(end: Terminated, taken: number | undefined): boolean {
  if (taken === undefined) return true;
  const at = timeOf(end.finishedAt);
  return at < taken || (at === taken && end.exitCode !== 137 && end.exitCode !== 143);
}

function endOutcome(status: ContainerStatus, end: Terminated): Outcome {
  if (end.reason === "OOMKilled") return { type: "oom" };
  if (end.exitCode !== undefined && end.reason !== "ContainerStatusUnknown") return { type: "exit", code: end.exitCode };
  return {
    type: "failed",
    code: "kubernetes/backoffLimit",
    error: `the container ${status.name} ended in a way that nobody saw: ${end.message ?? end.reason ?? "no reason"}`,
  };
}

function endsOf({ lastState, state }: ContainerStatus): Terminated[] {
  return [lastState?.terminated, state?.terminated].filter((end) => end !== undefined);
}

/** A pod that was not allowed to end by itself, and since when. */
function takenAway(pod: Pod): { at: number; outcome: Outcome } | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata ?? {};
  const { reason, message } = pod.status ?? {};
  const disruption = conditionOf(pod, "DisruptionTarget");
  const deleted =
    deletionTimestamp === undefined ? Number.POSITIVE_INFINITY : timeOf(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
  const ended = statusesOf(pod).flatMap((status) => endsOf(status).map((end) => timeOf(end.finishedAt)));
  // Its containers end because of it, at about the same time: whatever their codes are, they say nothing.
  const before = Math.min(deleted, ...ended) - 1;
  const evicted =
    reason === "Evicted" || reason === "Preempting" || reason === "NodeShutdown" || reason === "Terminated" || reason === "NodeLost";
  if (evicted || disruption?.status === "True") {
    const why = [disruption?.reason ?? reason, message ?? disruption?.message].filter(Boolean).join(": ");
    return { at: before, outcome: { type: "failed", code: "kubernetes/evicted", error: `the pod ${nameOf(pod)} was evicted: ${why}` } };
  }
  if (reason === "DeadlineExceeded")
    return {
      at: before,
      outcome: { type: "failed", code: "kubernetes/deadline", error: `the pod ${nameOf(pod)} took too long: ${message ?? ""}` },
    };
  if (deletionTimestamp === undefined) return undefined;
  return { at: deleted, outcome: { type: "failed", code: "kubernetes/deleted", error: `the pod ${nameOf(pod)} was deleted from outside` } };
}

function timeOf(text: string | undefined): number {
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

const PULL = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "ErrImageNeverPull",
  "InvalidImageName",
  "ImageInspectError",
  "RegistryUnavailable",
  "SignatureValidationFailed",
]);
const CREATE = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
  "PreCreateHookError",
  "PreStartHookError",
  "PostStartHookError",
]);
const HOPELESS = new Set(["InvalidImageName", "ErrImageNeverPull"]);

/** What keeps a pod from running; undefined when nothing is known to. */
export function podStuck(pod: Pod): Stuck | undefined {
  const { phase } = pod.status ?? {};
  if (phase === "Succeeded" || phase === "Failed" || pod.metadata?.deletionTimestamp !== undefined) return undefined;
  const uid = pod.metadata?.uid ?? nameOf(pod);
  for (const status of statusesOf(pod)) {
    const { reason = "", message } = status.state?.waiting ?? {};
    const where = `container ${status.name} of the pod ${nameOf(pod)}`;
    const said = `${reason}${message === undefined || message === "" ? "" : `: ${message}`}`;
    if (PULL.has(reason)) {
      const image = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].find(({ name }) => name === status.name)?.image;
      const error = `the image ${image ?? "?"} of ${where} cannot be pulled: ${said}`;
      return { key: `${uid} pull ${status.name}`, code: "kubernetes/imagePull", error, ...(HOPELESS.has(reason) ? { forGood: true } : {}) };
    }
    if (CREATE.has(reason))
      return { key: `${uid} create ${status.name}`, code: "kubernetes/createContainer", error: `${where} cannot be created: ${said}` };
  }
  const scheduled = conditionOf(pod, "PodScheduled");
  if (scheduled?.status !== "False") return undefined;
  return {
    key: `${uid} schedule`,
    code: "kubernetes/unschedulable",
    error: `no node takes the pod ${nameOf(pod)}: ${scheduled.message ?? scheduled.reason ?? "no reason given"}`,
  };
}

/** Whether nothing of the pod has run yet although it has a node: a volume or the network is missing, which only events tell. */
export function isPreparing(pod: Pod): boolean {
  if (
    pod.status?.phase !== "Pending" ||
    pod.metadata?.deletionTimestamp !== undefined ||
    conditionOf(pod, "PodScheduled")?.status !== "True"
  )
    return false;
  return statusesOf(pod).every(({ state }) => state?.running === undefined && state?.terminated === undefined);
}
