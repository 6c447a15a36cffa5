/** Removes a node that will not come back: its registration, orders, conditions and secrets; the dispatcher takes its dispatches. Its records stay. */
import { AppError } from "fleetcron-shared/base/errors";
import { absent, prefixEnd, type Revision } from "fleetcron-shared/store/kv";
import { readNode } from "./find.ts";
import { checkRevision, conditionOf } from "./if-revision.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { settle } from "./settle.ts";

/** Throws `node/not-found`, `node/online`, `write/conflict`. */
export async function forgetNode(deps: OpsDeps, id: string, ifRevision?: Revision): Promise<string> {
  const { keys } = deps;
  const orders = keys.ordersOf(id);
  const conditions = keys.conditionsOf(id);
  const boxes = keys.boxesOf(id);
  const result = await settle(deps.kv, {
    if: [conditionOf(keys.node(id), ifRevision), absent(keys.alive(id))],
    then: [
      { op: "delete", key: keys.node(id) },
      { op: "deleteRange", key: orders, end: prefixEnd(orders) },
      { op: "deleteRange", key: conditions, end: prefixEnd(conditions) },
      { op: "deleteRange", key: boxes, end: prefixEnd(boxes) },
    ],
  });
  if (!result.succeeded) {
    const { revision } = await readNode(deps, id);
    checkRevision(`node ${id}`, ifRevision, revision);
    throw new AppError("node/online", `node ${id} is online; it would only register again`, { hint: "stop its agent first, or drain it" });
  }
  await deps.views.nodes.reached(result.revision);
  return id;
}
