/** Tells when something has kept a pod from running for too long. Times are of this process: after a restart of it they begin anew. */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Api } from "./api.ts";
import type { KubeEvent } from "./objects.ts";
import type { Stuck } from "./verdict.ts";

export type StuckWatch = {
  /** What is stuck now; calls `ripe` once for what is so for too long. */
  now(stuck: readonly Stuck[]): void;
  stop(): void;
};

export function createStuckWatch(
  deps: { clock: Pick<Clock, "mono" | "after"> },
  afterMs: number,
  ripe: (stuck: Stuck) => void,
): StuckWatch {
  const since = new Map<string, { at: number; stuck: Stuck }>();
  let cancel = () => {};

  function arm(): void {
    cancel();
    const first = Math.min(...[...since.values()].map(({ at, stuck }) => (stuck.forGood === true ? 0 : at + afterMs)));
    if (first !== Number.POSITIVE_INFINITY) cancel = deps.clock.after(Math.max(0, first - deps.clock.mono()), look);
  }

  function look(): void {
    const now = deps.clock.mono();
    for (const [key, { at, stuck }] of since) {
      if (stuck.forGood !== true && now < at + afterMs) continue;
      since.delete(key);
      ripe(stuck);
    }
    arm();
  }

  return {
    now(all) {
      const keys = new Set(all.map(({ key }) => key));
      for (const key of since.keys()) if (!keys.has(key)) since.delete(key);
      for (const stuck of all) since.set(stuck.key, { at: since.get(stuck.key)?.at ?? deps.clock.mono(), stuck });
      arm();
    },
    stop() {
      cancel();
      since.clear();
    },
  };
}

/** The newest warning about an object that says why something could not be made; undefined when there is none, or events may not be read. */
export async function warningOf(api: Api, namespace: string, uid: string, signal: AbortSignal): Promise<string | undefined> {
  const query = { fieldSelector: `involvedObject.uid=${uid},type=Warning` };
  try {
    const list = await api.call<{ items?: readonly KubeEvent[] }>(
      { method: "GET", path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`, query },
      signal,
    );
    const failures = (list.items ?? []).filter(({ reason }) => reason?.startsWith("Failed"));
    const newest = failures.toSorted((a, b) => timeOf(a) - timeOf(b)).at(-1);
    return newest === undefined ? undefined : `${newest.reason}: ${newest.message ?? ""}`;
  } catch {
    return undefined;
  }
}

function timeOf(event: KubeEvent): number {
  return Date.parse(event.lastTimestamp ?? event.metadata?.creationTimestamp ?? "") || 0;
}
