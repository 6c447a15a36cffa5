/** Removes a node that will not come back: its registration, orders, conditions and secrets; the dispatcher takes its dispatches. Its records stay. */
import { AppError } from "fleetcron-shared/base/errors";
import { absent, exists, prefixEnd } from "fleetcron-shared/store/kv";
import { readNode } from "./find.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { settle } from "./settle.ts";

/** Throws `node/not-found`, `node/online`. */
export async function forgetNode(deps: OpsDeps, id: string): Promise<string> {
  const { keys } = deps;
  const orders = keys.ordersOf(id);
  const conditions = keys.conditionsOf(id);
  const boxes = keys.boxesOf(id);
  const result = await settle(deps.kv, {
    if: [exists(keys.node(id)), absent(keys.alive(id))],
    then: [
      { op: "delete", key: keys.node(id) },
      { op: "deleteRange", key: orders, end: prefixEnd(orders) },
      { op: "deleteRange", key: conditions, end: prefixEnd(conditions) },
      { op: "deleteRange", key: boxes, end: prefixEnd(boxes) },
    ],
  });
  if (!result.succeeded) {
    await readNode(deps, id);
    throw new AppError("node/online", `node ${id} is online; it would only register again`, { hint: "stop its agent first, or drain it" });
  }
  await deps.views.nodes.reached(result.revision);
  return id;
}
