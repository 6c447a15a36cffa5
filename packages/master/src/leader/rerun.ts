/**
 * The order that replaces a lost execution of an `interval` or `alone` job with `onNodeLost: rerun`. It is put in the transaction that files
 * the `lost` record for the first time, and its key is made of the lost execution and attempt: it happens once.
 */

import { type Clock, toIso } from "fleetcron-shared/base/clock";
import { hash32 } from "fleetcron-shared/base/hash";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Order } from "fleetcron-shared/model/facts";
import { parseTaskOrderId } from "fleetcron-shared/model/pipeline/request";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { LeaseId, Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { matchingNodes, preferredFirst } from "../ops/choose-nodes.ts";
import { runOrder } from "../ops/run-order.ts";
import type { Views } from "../views.ts";

/** A tick that loses its node again and again is given up after so many attempts beyond the job's own. */
const MAX_RERUNS = 5;

type RerunDeps = { keys: Keys; views: Views; clock: Pick<Clock, "now">; newId: IdSource };

/** The order, or undefined when the job does not ask for one, has run out of attempts, is gone, or matches no node. */
export function rerunOrder(deps: RerunDeps, lease: LeaseId, record: ExecutionRecord): Op | undefined {
  const { keys, views } = deps;
  // A pipeline has its own way to try again.
  if (parseTaskOrderId(record.orderId) !== undefined) return undefined;
  const entry = views.jobs.get(keys.job(record.jobGroup, record.jobId));
  if (entry === undefined || entry.job.kind === "common" || entry.job.onNodeLost !== "rerun") return undefined;
  if (record.attempt > entry.job.retry.limit + MAX_RERUNS) return undefined;
  const id = `rerun-${record.execution}-${record.attempt}`;
  const candidates = matchingNodes(views, keys, entry.job, record.ruleId).filter((node) => !node.draining);
  const ranked = preferredFirst(entry.job, candidates, (node) => hash32(`${id}@${node.id}`));
  const elsewhere = ranked.filter((node) => node.id !== record.nodeId);
  // Nobody else is online: the lost node itself if it is back, else whoever comes back within the order's life.
  const chosen = elsewhere.find((node) => node.online) ?? ranked.find((node) => node.online) ?? elsewhere[0];
  if (chosen === undefined) return undefined;
  const order: Order = {
    ...runOrder(entry, { id, execution: deps.newId(), by: "leader", orderedAt: toIso(deps.clock.now()) }),
    rerun: {
      of: record.execution,
      attempt: record.attempt + 1,
      ...(record.ruleId === undefined ? {} : { ruleId: record.ruleId }),
      ...(record.dueAt === undefined ? {} : { dueAt: record.dueAt }),
    },
  };
  return { op: "put", key: keys.order(chosen.id, id), value: encode(order), lease };
}
