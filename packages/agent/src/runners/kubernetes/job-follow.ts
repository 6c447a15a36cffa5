/** Follows a Job and its pods until it is over, one way or another. */
import { toIso } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import { ApiFailure } from "./api-failure.ts";
import { refusal } from "./failed.ts";
import { jobsPath } from "./job-create.ts";
import { podSelection } from "./job-object.ts";
import type { Logs } from "./logs.ts";
import { type Job, nameOf, type Pod } from "./objects.ts";
import { reflect, type Sink } from "./reflector.ts";
import { note, type Run, type RunDeps } from "./run.ts";
import { createStuckWatch, warningOf } from "./stuck.ts";
import { isPreparing, jobOutcome, podStuck, type Stuck } from "./verdict.ts";

const LAST_STATE_MS = 1000;

export type Followed = {
  readonly outcome: Outcome;
  /** The Job is still there and would go on. */
  readonly goesOn: boolean;
};

export type JobFollower = {
  readonly over: Promise<Followed>;
  /** We have asked for its end: being deleted is what was wanted now, and nothing is stuck any more. */
  readonly ending: (outcome: Outcome) => void;
  /** Pods that have not been seen to go. */
  readonly pods: () => readonly Pod[];
  /** Brings pods and outcome up to date with a fresh list, once the Job is over. */
  refresh(outcome: Outcome): Promise<Outcome>;
  stop(): void;
};

export function followJob(deps: RunDeps, run: Run, began: Job, logs: Logs): JobFollower {
  const { api } = run.connection;
  const name = nameOf(began);
  const uid = began.metadata?.uid ?? "";
  const selection = podSelection(run.namespace, began);
  const stop = new AbortController();
  const { promise: over, resolve, reject } = Promise.withResolvers<Followed>();
  const pods = new Map<string, { pod: Pod; gone: boolean }>();
  let job = began;
  let podsKnown = false;
  let wanted: Outcome | undefined;
  let changed = Promise.withResolvers<void>();

  const stuck = createStuckWatch(deps, run.stuckMs, (one) => void ripe(one));
  const allPods = () => [...pods.values()].map(({ pod }) => pod);
  const end = (outcome: Outcome, goesOn = false) => resolve({ outcome, goesOn });

  function judge(): void {
    const outcome = jobOutcome(job, allPods());
    if (outcome !== undefined) return end(outcome);
    stuck.now(wanted === undefined && job.metadata?.deletionTimestamp === undefined ? allStuck() : []);
  }

  function allStuck(): Stuck[] {
    const present = [...pods.values()].filter(({ gone }) => !gone).map(({ pod }) => pod);
    const quiet: Stuck[] = present
      .filter((pod) => isPreparing(pod) && podStuck(pod) === undefined)
      .map((pod) => ({
        key: `${pod.metadata?.uid} prepare`,
        code: "kubernetes/createContainer",
        error: `the pod ${nameOf(pod)} cannot be prepared`,
      }));
    if (podsKnown && pods.size === 0 && job.spec?.suspend !== true)
      quiet.push({ key: `${uid} pods`, code: "kubernetes/noPod", error: `the cluster has created no pod for the Job ${name}` });
    return [...present.map(podStuck).filter((one) => one !== undefined), ...quiet];
  }

  /** For what only events can explain, no explanation means that it is merely slow. */
  async function ripe({ key, code, error }: Stuck): Promise<void> {
    const [about = "", what] = key.split(" ", 2);
    const asked = what === "prepare" || what === "pods";
    const why = asked ? await warningOf(api, run.namespace, about, stop.signal) : undefined;
    if (asked && why === undefined) return judge();
    end({ type: "failed", code, error: why === undefined ? error : `${error}: ${why}` }, true);
  }

  function gone(last: Job): void {
    job = last;
    judge();
    end(wanted ?? { type: "failed", code: "kubernetes/deleted", error: `the Job ${run.namespace}/${name} was deleted from outside` });
  }

  const jobSink: Sink<Job> = {
    replace(items) {
      const same = items.find(({ metadata }) => metadata?.uid === uid);
      if (same === undefined) return gone(job);
      job = same;
      judge();
    },
    upsert: (item) => (item.metadata?.uid === uid ? jobSink.replace([item]) : gone(job)),
    remove: (item) => gone(item.metadata?.uid === uid ? item : job),
  };

  function keep(pod: Pod, isGone: boolean): void {
    const isOurs = pod.metadata?.ownerReferences?.some((owner) => owner.uid === uid) === true;
    if (!isOurs || pod.metadata?.uid === undefined) return;
    pods.set(pod.metadata.uid, { pod: isGone ? asDeleted(pod) : pod, gone: isGone });
    logs.seen(pod, isGone);
    changed.resolve();
    changed = Promise.withResolvers();
  }

  /** What is gone was deleted, whether its last state shows it or not. */
  function asDeleted(pod: Pod): Pod {
    const { phase } = pod.status ?? {};
    if (phase === "Succeeded" || phase === "Failed" || pod.metadata?.deletionTimestamp !== undefined) return pod;
    return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: toIso(deps.clock.now()) } };
  }

  /** The watch has the last state of pods that are not in the list any more; it may be a moment late. */
  async function lastStates(items: readonly Pod[]): Promise<void> {
    const present = new Set(items.map(({ metadata }) => metadata?.uid));
    const limit = deps.clock.mono() + LAST_STATE_MS;
    const isMissing = () => [...pods.values()].some(({ pod, gone: isGone }) => !isGone && !present.has(pod.metadata?.uid));
    while (isMissing() && deps.clock.mono() < limit) {
      const ticked = new AbortController();
      await Promise.race([changed.promise, deps.clock.sleep(limit - deps.clock.mono(), ticked.signal)]);
      ticked.abort();
    }
  }

  const podSink: Sink<Pod> = {
    replace(items) {
      podsKnown = true;
      const present = new Set(items.map(({ metadata }) => metadata?.uid));
      for (const { pod, gone: wasGone } of [...pods.values()]) if (!wasGone && !present.has(pod.metadata?.uid)) keep(pod, true);
      for (const pod of items) keep(pod, false);
      judge();
    },
    upsert(pod) {
      keep(pod, false);
      judge();
    },
    remove(pod) {
      keep(pod, true);
      judge();
    },
  };

  void reflect({ ...deps, api }, { path: jobsPath(run.namespace), fieldSelector: `metadata.name=${name}` }, jobSink, stop.signal).catch(
    (thrown) => reject(thrown instanceof ApiFailure ? refusal(thrown, `follow the Job ${run.namespace}/${name}, which goes on`) : thrown),
  );
  void reflect({ ...deps, api }, selection, podSink, stop.signal).catch((thrown) =>
    note(
      deps,
      `the pods of the Job cannot be followed, so their logs are not shown: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    ),
  );

  return {
    over,
    pods: () => [...pods.values()].filter(({ gone: isGone }) => !isGone).map(({ pod }) => pod),
    ending(outcome) {
      wanted = outcome;
      judge();
    },
    async refresh(outcome) {
      try {
        const list = await api.call<{ items?: readonly Pod[] }>(
          { method: "GET", path: selection.path, query: { labelSelector: selection.labelSelector } },
          run.kill,
        );
        await lastStates(list.items ?? []);
        podSink.replace(list.items ?? []);
      } catch {
        // What was seen so far has to do.
      }
      return jobOutcome(job, allPods()) ?? outcome;
    },
    stop() {
      stop.abort();
      stuck.stop();
    },
  };
}
