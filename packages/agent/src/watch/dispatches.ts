/**
 * The jobs that this node must run: a mirror of `dispatch/<node>/`, told to the planner. Etcd away: the plan stays as it was; when the watch
 * is back only what has changed is told.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { Kv } from "fleetcron-shared/store/kv";
import { type Mirror, openMirror } from "fleetcron-shared/store/mirror";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Planner } from "../plan/planner.ts";

type Deps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly keys: Keys;
  readonly planner: Planner;
};

/** Keeps `planner` equal to the dispatches of `nodeId`; `onChanged` after each batch. */
export function watchDispatches(deps: Deps, nodeId: string, onChanged: () => void): Mirror {
  const { planner, keys, clock, log } = deps;
  let caughtUp = false;
  const mirror = openMirror(deps, {
    prefix: keys.dispatchesOf(nodeId),
    onEvents(events) {
      const now = clock.now();
      for (const event of events) {
        const key = event.type === "put" ? event.kv.key : event.key;
        const [, , group, id] = keys.parts(key);
        try {
          if (event.type === "put") planner.put(key, event.kv.value, now, !caughtUp);
          else planner.remove(`${group}/${id}`);
        } catch (thrown) {
          planner.remove(`${group}/${id}`);
          log.error({ key, error: asError(thrown).message }, "a dispatch cannot be planned");
        }
      }
      onChanged();
    },
    onSynced() {
      caughtUp = true;
    },
  });
  return mirror;
}
