/** Orders nodes to forget that they have run an `onlyonce` job, so that it runs once more. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { exists } from "fleetcron-shared/store/kv";
import type { ResetResult } from "../http/api-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { matchingNodes } from "./choose-nodes.ts";
import { findJob, findNode } from "./find.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { putOrders } from "./put-orders.ts";

/** To one node or to every registered one that matches; those that are offline take it up within the order's life (1 h). */
export async function resetJob(deps: OpsDeps, ref: JobRef, node: string | undefined, by: string): Promise<ResetResult> {
  const { job } = await findJob(deps, ref);
  if (!job.rules.some((rule) => rule.mode === "onlyonce")) {
    throw new AppError("input/usage", `job ${job.key} has no onlyonce rule: there is nothing to reset`);
  }
  if (node !== undefined) await findNode(deps, node);
  const matching = matchingNodes(deps.views, deps.keys, job).filter(({ id }) => node === undefined || id === node);
  if (matching.length === 0)
    throw new AppError(
      "node/none-matching",
      `no rule of job ${job.key} matches ${node === undefined ? "a registered node" : `node ${node}`}`,
    );
  const orderedAt = toIso(deps.clock.now());
  const orders = matching.map(({ id }) => ({
    node: id,
    order: { v: 1, type: "reset", id: deps.newId(), group: ref.group, job: ref.id, by, orderedAt } as const,
  }));
  const done = await putOrders(deps, [exists(deps.keys.job(ref.group, ref.id))], orders);
  if (!done) throw new AppError("job/not-found", `job ${toKey(ref)} was deleted this moment`);
  return { orders: orders.map(({ node: id, order }) => ({ order: order.id, node: id })) };
}
