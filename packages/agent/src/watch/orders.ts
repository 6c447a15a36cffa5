/**
 * Orders for this node: run now, kill, reset, show a log. Each is carried out at most once: it is marked as seen in the journal, together with what it
 * began, before anything happens; those for logs hold as long as their key exists. Etcd away: orders wait there, under their lease.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { fromIso } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { Order } from "fleetcron-shared/model/facts";
import type { Kv } from "fleetcron-shared/store/kv";
import { type Mirror, openMirror } from "fleetcron-shared/store/mirror";
import { decode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Journal } from "../run/journal.ts";

type Deps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly keys: Keys;
  readonly journal: Journal;
};

/** Longer than any order lives. */
const REMEMBER_MS = 24 * 3_600_000;

/** `onGone` gets the ids of orders that are no more. */
export function watchOrders(deps: Deps, nodeId: string, carryOut: (order: Order) => void, onGone: (id: string) => void): Mirror {
  const { keys, journal, clock, log } = deps;
  return openMirror(deps, {
    prefix: keys.ordersOf(nodeId),
    onEvents(events) {
      for (const event of events) {
        if (event.type === "delete") {
          onGone(keys.parts(event.key)[2] ?? "");
          continue;
        }
        try {
          const order = decode<Order>(event.kv.key, event.kv.value);
          if (order.type === "log") {
            carryOut(order);
            continue;
          }
          if (journal.hasSeenOrder(order.id)) continue;
          const now = clock.now();
          journal.markOrderSeen(order.id, Math.max(now, fromIso(order.orderedAt) ?? now) + REMEMBER_MS, now);
          carryOut(order);
        } catch (thrown) {
          log.error({ key: event.kv.key, error: asError(thrown).message }, "an order cannot be carried out");
        }
      }
    },
  });
}
