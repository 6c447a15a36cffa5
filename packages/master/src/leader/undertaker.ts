/**
 * Gives the verdict `lost` to what a node had claimed or started and will not report: because its `alive` key has been gone for `lostAfter`, or
 * because another instance of it has been there for as long without delivering what the one before left (its data folder was emptied). Both times
 * are counted anew by each leader. The verdict is provisional: the node's own record replaces it. Etcd away: nobody is declared lost.
 */
import type { MonoMs } from "fleetcron-shared/base/clock";
import type { Filer } from "./filer.ts";
import { type Absence, findLost } from "./find-lost.ts";
import { followProcs } from "./last-seen.ts";
import type { LeaderDeps, LeaderService } from "./leader-deps.ts";
import { startLoop } from "./loop.ts";

/** Since when a node has been gone, or there as its present instance. `since` is infinite once its executions have been looked at. */
type Presence = Absence & { readonly since: MonoMs };

export function startUndertaker(deps: LeaderDeps & { filer: Filer }, options: { lostAfterMs: number }): LeaderService {
  const { keys, clock, views, term } = deps;
  const log = deps.log.child({ service: "undertaker" });
  const presences = new Map<string, Presence>();
  const lastSeen = followProcs(deps);
  let disarm = () => {};

  function judge(node: string): void {
    const backAt = views.alive.get(keys.alive(node))?.startedAt;
    const known = presences.get(node);
    if (known !== undefined && known.backAt === backAt) return;
    presences.set(node, { backAt, since: clock.mono(), procs: backAt === undefined ? [] : lastSeen.of(node) });
    arm();
  }

  /** One timer, for the node whose time comes first. */
  function arm(): void {
    disarm();
    let first = Number.POSITIVE_INFINITY;
    for (const { since } of presences.values()) first = Math.min(first, since);
    if (first !== Number.POSITIVE_INFINITY) disarm = clock.after(Math.max(0, first + options.lostAfterMs - clock.mono()), loop.kick);
  }

  async function round(signal: AbortSignal): Promise<void> {
    const ripe = new Map([...presences].filter(([, { since }]) => since + options.lostAfterMs <= clock.mono()));
    if (ripe.size > 0) await bury(ripe, signal);
    arm();
  }

  async function bury(ripe: ReadonlyMap<string, Presence>, signal: AbortSignal): Promise<void> {
    const absences = new Map(
      [...ripe].map(([node, presence]) => [node, presence.backAt === undefined ? { ...presence, procs: lastSeen.of(node) } : presence]),
    );
    const records = await findLost(deps, absences);
    if (signal.aborted) return;
    for (const record of records) {
      const isGone = ripe.get(record.nodeId)?.backAt === undefined;
      // A node that has come back this moment speaks for itself.
      if (isGone && views.alive.get(keys.alive(record.nodeId)) !== undefined) continue;
      deps.filer.fileVerdict(record, { onlyWhileGone: isGone });
    }
    for (const [node, presence] of ripe) {
      if (views.nodes.get(keys.node(node)) === undefined) presences.delete(node);
      else if (presences.get(node) === presence) presences.set(node, { ...presence, since: Number.POSITIVE_INFINITY, procs: [] });
      if (presence.backAt === undefined) lastSeen.forget(node);
    }
    if (records.length > 0)
      log.info({ nodes: [...new Set(records.map(({ nodeId }) => nodeId))], lost: records.length }, "executions are lost");
  }

  const loop = startLoop({ ...deps, log }, term.ended, round);
  for (const [, { info }] of views.nodes.entries()) judge(info.id);
  const unsubscribe = [
    views.alive.onChange((changes) => {
      for (const { key } of changes) judge(keys.parts(key)[1] ?? "");
    }),
    views.nodes.onChange((changes) => {
      // One that is forgotten while it is gone is looked at in its time all the same.
      for (const { value } of changes) if (value !== undefined) judge(value.info.id);
    }),
  ];
  return {
    async stop() {
      for (const end of [...unsubscribe, lastSeen.close, disarm]) end();
      await loop.stop();
    },
  };
}
