/**
 * The processes that a node had when its session ended. `proc` keys vanish with the session, so they are remembered here as they go; those that
 * go while the node stays online have ended in the ordinary way, and are forgotten soon after. After a change of leader there is nothing to
 * remember: then the claims are what is left.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { ProcEntry, Views } from "../views.ts";

export type LastSeen = {
  /** The processes that vanished on `node` of late; meaningful when it is offline. */
  of(node: string): readonly ProcEntry[];
  forget(node: string): void;
  close(): void;
};

type Vanished = { readonly entry: ProcEntry; readonly at: MonoMs };

/** Presence and processes are followed apart; after so long a node that counts as online really was when the process went. */
const SETTLE_MS = 10_000;
const PRUNE_EVERY_MS = 1000;

export function followProcs(deps: { views: Pick<Views, "procs" | "alive">; keys: Keys; clock: Pick<Clock, "mono"> }): LastSeen {
  const { views, keys, clock } = deps;
  const byNode = new Map<string, Map<string, Vanished>>();
  let prunedAt = clock.mono();

  function prune(): void {
    const now = clock.mono();
    if (now - prunedAt < PRUNE_EVERY_MS) return;
    prunedAt = now;
    for (const [node, held] of byNode) {
      if (views.alive.get(keys.alive(node)) === undefined) continue;
      for (const [id, { at }] of held) if (now - at > SETTLE_MS) held.delete(id);
      if (held.size === 0) byNode.delete(node);
    }
  }

  const unsubscribe = views.procs.onChange((changes) => {
    for (const { value, previous } of changes) {
      if (value !== undefined || previous === undefined) continue;
      const held = byNode.get(previous.node) ?? new Map<string, Vanished>();
      held.set(`${previous.proc.execution}-${previous.proc.attempt}`, { entry: previous, at: clock.mono() });
      byNode.set(previous.node, held);
    }
    prune();
  });

  return {
    of: (node) => [...(byNode.get(node)?.values() ?? [])].map(({ entry }) => entry),
    forget: (node) => byNode.delete(node),
    close: unsubscribe,
  };
}
