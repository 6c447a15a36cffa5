/**
 * When a run must be looked at although nobody asks: a deadline, a process that has begun, a node that has come or is gone for good. How long a
 * node is gone is counted anew by each leader.
 */
import { fromIso, MAX_TIMER_MS, type MonoMs } from "fleetcron-shared/base/clock";
import { parseTaskOrderId } from "fleetcron-shared/model/pipeline/request";
import { isLive, nextDeadline, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { LeaderDeps } from "../leader/leader-deps.ts";

export type Vigil = {
  /** Takes over what the run waits for now. */
  watch(id: string, run: RunDocument): void;
  hasStarted(execution: string): boolean;
  isGone(node: string): boolean;
  close(): void;
};

type Watched = { readonly deadlineMs: number | undefined; readonly waitsForNode: boolean; readonly nodes: ReadonlySet<string> };

/** `wake` is called with the runs to look at; undefined: all. */
export function createVigil(
  deps: Pick<LeaderDeps, "clock" | "keys" | "views">,
  lostAfterMs: number,
  wake: (runs: Iterable<string> | undefined) => void,
): Vigil {
  const { clock, keys, views } = deps;
  const watched = new Map<string, Watched>();
  const started = new Set<string>();
  const goneSince = new Map<string, MonoMs>();
  const timers = new Map<string, () => void>();
  let armedFor = Number.POSITIVE_INFINITY;
  let disarm = () => {};

  function arm(): void {
    let first = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of watched.values()) if (deadlineMs !== undefined) first = Math.min(first, deadlineMs);
    if (first === armedFor) return;
    disarm();
    armedFor = first;
    if (first === Number.POSITIVE_INFINITY) return;
    disarm = clock.after(Math.min(Math.max(1, first - clock.now()), MAX_TIMER_MS), () => {
      armedFor = Number.POSITIVE_INFINITY;
      const nowMs = clock.now();
      wake([...watched].flatMap(([id, { deadlineMs }]) => (deadlineMs !== undefined && deadlineMs <= nowMs ? [id] : [])));
      arm();
    });
  }

  function isGone(node: string): boolean {
    if (views.alive.get(keys.alive(node)) !== undefined) return false;
    const since = goneSince.get(node) ?? clock.mono();
    goneSince.set(node, since);
    const leftMs = since + lostAfterMs - clock.mono();
    if (leftMs <= 0) return true;
    if (!timers.has(node)) {
      const cancel = clock.after(leftMs + 1, () => {
        timers.delete(node);
        wake([...watched].flatMap(([id, { nodes }]) => (nodes.has(node) ? [id] : [])));
      });
      timers.set(node, cancel);
    }
    return false;
  }

  function wakeWaiting(): void {
    wake([...watched].flatMap(([id, { waitsForNode }]) => (waitsForNode ? [id] : [])));
  }

  for (const [, { proc }] of views.procs.entries()) started.add(proc.execution);
  const unsubscribe = [
    views.procs.onChange((changes) => {
      for (const { value, previous } of changes) {
        if (value === undefined) {
          if (previous !== undefined) started.delete(previous.proc.execution);
          continue;
        }
        const order = parseTaskOrderId(value.proc.orderId);
        if (order === undefined) continue;
        started.add(value.proc.execution);
        if (watched.has(order.run)) wake([order.run]);
      }
    }),
    views.nodes.onChange(wakeWaiting),
    views.alive.onChange((changes) => {
      const [come, gone] = [changes.filter(({ previous }) => previous === undefined), changes.filter(({ value }) => value === undefined)];
      for (const { key } of come) {
        const [, node = ""] = keys.parts(key);
        goneSince.delete(node);
        timers.get(node)?.();
        timers.delete(node);
      }
      for (const { key } of gone) {
        const [, node = ""] = keys.parts(key);
        if ([...watched.values()].some(({ nodes }) => nodes.has(node))) isGone(node);
      }
      if (come.length > 0) wakeWaiting();
    }),
  ];
  return {
    watch(id, run) {
      const deadline = nextDeadline(run);
      const nodes = new Set<string>();
      let waitsForNode = false;
      for (const { instances = [], wait } of Object.values(run.tasks)) {
        if (wait?.for === "node") waitsForNode = true;
        for (const { node, state } of instances) if (isLive(state)) nodes.add(node);
      }
      if (deadline === undefined && !waitsForNode && nodes.size === 0) watched.delete(id);
      else watched.set(id, { deadlineMs: deadline === undefined ? undefined : fromIso(deadline), waitsForNode, nodes });
      arm();
    },
    hasStarted: (execution) => started.has(execution),
    isGone,
    close() {
      disarm();
      for (const end of [...unsubscribe, ...timers.values()]) end();
    },
  };
}
