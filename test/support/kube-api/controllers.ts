/** The controllers of a cluster, as small as they can be: Jobs get pods and conditions; what runs for long gets a status when the test says so. */
import { systemClock } from "fleetcron-shared/base/clock";
import { createPod, type Logs, type PodHandle } from "./kubelet.ts";
import { type Store, type Stored, second } from "./store.ts";

/** What becomes of a pod of a Job; `index` counts the Job's pods from 0. */
export type PodScript = (pod: PodHandle, index: number) => void | Promise<void>;
/** What becomes of a Deployment, StatefulSet or DaemonSet whose spec has changed. */
export type RolloutScript = (workload: WorkloadHandle) => void | Promise<void>;
export type WorkloadHandle = {
  readonly object: Stored;
  status(status: Record<string, unknown>): void;
  pod(name: string, status: Record<string, unknown>): void;
};

export type Cluster = {
  podScript: PodScript;
  rolloutScript: RolloutScript;
  /** The handles of all pods ever made, in order. */
  readonly pods: PodHandle[];
  /** Jobs get no pods, and this event says why. */
  refusePods: string | undefined;
  /** No deadline of a Job comes any more. */
  stopTimers(): void;
};

export function runControllers(store: Store, logs: Logs): Cluster {
  const cluster: Cluster = {
    podScript: async (pod) => {
      for (const { name } of [...(pod.pod()?.spec.initContainers ?? []), ...(pod.pod()?.spec.containers ?? [])]) {
        await pod.start(name);
        pod.exit(name, 0);
      }
    },
    rolloutScript: ({ object, status }) => status(ready(object)),
    pods: [],
    refusePods: undefined,
    stopTimers() {
      for (const cancel of deadlines) cancel();
    },
  };
  const deadlines: (() => void)[] = [];
  const failures = new Map<string, number>();
  const counted = new Set<string>();

  function addPod(owner: Stored, index: number): void {
    const { namespace, name, uid } = owner.metadata;
    if (cluster.refusePods !== undefined) return addEvent(owner, "FailedCreate", cluster.refusePods);
    const { template } = owner.spec;
    const suffix = `x${(cluster.pods.length + 46_656).toString(36)}`;
    const metadata = {
      ...template.metadata,
      name: `${name}-${suffix}`,
      namespace,
      labels: { ...template.metadata?.labels, "job-name": name, "controller-uid": uid },
      ownerReferences: [{ apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true }],
    };
    const pod = createPod(
      store,
      logs,
      store.create("pods", { apiVersion: "v1", kind: "Pod", metadata, spec: template.spec, status: { phase: "Pending" } }),
    );
    cluster.pods.push(pod);
    void Promise.resolve(cluster.podScript(pod, index));
  }

  function addEvent(about: Stored, reason: string, message: string): void {
    const { namespace, name, uid } = about.metadata;
    const event = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${store.revision}`, namespace } as Stored["metadata"],
      involvedObject: { uid, name },
      type: "Warning",
      reason,
      message,
      lastTimestamp: second(),
    };
    store.create("events", event);
  }

  function job(object: Stored): void {
    const { namespace, name, uid } = object.metadata;
    const { parallelism = 1, activeDeadlineSeconds, suspend } = object.spec;
    if (suspend === true) return;
    store.update("jobs", namespace, name, (one) => {
      one.status = { startTime: second(), active: parallelism };
    });
    for (let index = 0; index < parallelism; index++) addPod(object, index);
    if (activeDeadlineSeconds === undefined) return;
    const cancel = systemClock.after(activeDeadlineSeconds * 1000, () => {
      if (store.get("jobs", namespace, name)?.metadata.uid === uid)
        end(object, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
    });
    deadlines.push(cancel);
  }

  /** Recent servers say first that it will end, and then that it has. */
  function end(object: Stored, type: "Complete" | "Failed", reason: string, message: string): void {
    const { namespace, name, uid } = object.metadata;
    const over = store
      .get("jobs", namespace, name)
      ?.status?.conditions?.some((one: { type: string }) => one.type === "Complete" || one.type === "Failed");
    if (over === true) return;
    const add = (condition: string) =>
      store.update("jobs", namespace, name, (one) => {
        one.status = {
          ...one.status,
          conditions: [...(one.status?.conditions ?? []), { type: condition, status: "True", reason, message }],
        };
      });
    add(type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget");
    for (const pod of podsOf(uid)) if (type === "Failed" && !isOver(pod)) store.destroy("pods", namespace, pod.metadata.name, {});
    add(type);
  }

  const podsOf = (uid: string) =>
    cluster.pods.map((one) => one.pod()).filter((pod): pod is Stored => pod?.metadata.ownerReferences?.[0]?.uid === uid);
  const isOver = (pod: Stored) => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

  function podEnded(pod: Stored, removed: boolean): void {
    const owner = pod.metadata.ownerReferences?.[0];
    if (owner?.kind !== "Job" || counted.has(pod.metadata.uid) || !(isOver(pod) || removed)) return;
    counted.add(pod.metadata.uid);
    const object = store.get("jobs", pod.metadata.namespace, owner.name);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined || object.metadata.uid !== owner.uid) return;
    if (pod.status?.phase === "Succeeded") {
      if (podsOf(owner.uid).every(isOver)) end(object, "Complete", "CompletionsReached", "Reached expected number of succeeded pods");
      return;
    }
    const failed = (failures.get(owner.uid) ?? 0) + 1;
    failures.set(owner.uid, failed);
    if (failed > (object.spec.backoffLimit ?? 6))
      end(object, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    else addPod(object, failed);
  }

  const PLURALS = new Set(["deployments", "statefulsets", "daemonsets"]);
  const seenGenerations = new Map<string, number>();
  store.listen(({ type, plural, object }) => {
    // Controllers are never in the same breath as the request that they react to.
    queueMicrotask(() => {
      if (plural === "jobs" && type === "ADDED") job(object);
      if (plural === "pods") podEnded(object, type === "DELETED");
      if (!PLURALS.has(plural) || type === "DELETED" || seenGenerations.get(object.metadata.uid) === object.metadata.generation) return;
      seenGenerations.set(object.metadata.uid, object.metadata.generation ?? 0);
      void Promise.resolve(cluster.rolloutScript(workload(store, plural, object)));
    });
  });
  return cluster;
}

function workload(store: Store, plural: string, object: Stored): WorkloadHandle {
  const { namespace, name } = object.metadata;
  return {
    object,
    status: (status) =>
      void store.update(plural, namespace, name, (one) => {
        one.status = { ...one.status, observedGeneration: object.metadata.generation, ...status };
      }),
    pod(pod, status) {
      const metadata = { name: pod, namespace, labels: object.spec.selector?.matchLabels ?? {} } as Stored["metadata"];
      store.create("pods", { apiVersion: "v1", kind: "Pod", metadata, spec: object.spec.template.spec, status });
    },
  };
}

/** The status of a rollout that is through. */
export function ready({ spec, kind }: Stored): Record<string, unknown> {
  const count = spec.replicas ?? 1;
  if (kind === "DaemonSet") return { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 };
  return {
    replicas: count,
    updatedReplicas: count,
    readyReplicas: count,
    availableReplicas: count,
    currentRevision: "r2",
    updateRevision: "r2",
  };
}
