/**
 * What the result of a record brings about when it is filed, in the same transaction and so exactly once: globals, conditions of its node, and orders for
 * the jobs that it names as next. What cannot be done is noted on the record and never keeps it from being filed.
 */
import { type Clock, fromIso, toIso } from "fleetcron-shared/base/clock";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { GlobalValue, NodeCondition } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { addProblems, type ExecutionResult, recheckResult } from "fleetcron-shared/model/result";
import { matchesTarget } from "fleetcron-shared/model/target";
import type { LeaseId, Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { fromKey } from "../job-ref.ts";
import { runOrder } from "../ops/run-order.ts";
import type { JobEntry, Views } from "../views.ts";

/**
 * So many orders may follow from one execution over all the results that come of it; those of one result share what is left. The order's id carries how many
 * are left, so it comes back in the record of whatever the order led to.
 */
export const CHAIN_LIMIT = 100;

/** Results add no more globals to the cluster, and no more types of conditions to a node, than these. */
export const MOST_MARKS = { globals: 1000, conditions: 100 };

/** A global or condition to put, unless what stands there is of a later end. */
export type Mark = { readonly key: string; readonly value: GlobalValue | NodeCondition };
export type ResultEffects = { readonly marks: readonly Mark[]; readonly orders: readonly Op[]; readonly result: ExecutionResult };

type EffectDeps = {
  keys: Keys;
  views: Pick<Views, "jobs" | "nodes" | "globals" | "conditions">;
  clock: Pick<Clock, "now">;
  newId: IdSource;
};

/** Undefined: the record has no result. `lease` is for the orders; the record itself is trusted in nothing but its identity. */
export function resultEffects(deps: EffectDeps, lease: LeaseId | undefined, record: ExecutionRecord): ResultEffects | undefined {
  if (typeof record.result !== "object" || record.result === null) return undefined;
  const { keys } = deps;
  const result = recheckResult(record.result);
  const nowMs = deps.clock.now();
  const origin = {
    // A node whose clock is ahead must not make its word the newest for ever.
    at: toIso(Math.min(fromIso(record.endTime) ?? 0, nowMs)),
    execution: record.execution,
    job: `${record.jobGroup}/${record.jobId}`,
  };
  const globals: Mark[] = Object.entries(result.globals ?? {}).map(([name, value]) => ({
    key: keys.global(name),
    value: { v: 1, value, ...origin, node: record.nodeId },
  }));
  const conditions: Mark[] = (result.conditions ?? []).map(({ type, ...said }) => ({
    key: keys.condition(record.nodeId, type),
    value: { v: 1, ...said, ...origin },
  }));
  const { orders, notes } = nextOrders(deps, lease, record, result.next ?? [], toIso(nowMs));
  const roomy = [
    withRoom(globals, deps.views.globals, () => deps.views.globals.size, MOST_MARKS.globals),
    withRoom(
      conditions,
      deps.views.conditions,
      () => countOf(deps.views.conditions, keys.conditionsOf(record.nodeId)),
      MOST_MARKS.conditions,
    ),
  ];
  const left = roomy.flatMap(({ left }) => left);
  return { marks: roomy.flatMap(({ marks }) => marks), orders, result: addProblems(result, [...notes, ...left]) };
}

/** The marks that stand already or for which there is room, as far as the view knows; and what is said of the others. */
function withRoom(marks: readonly Mark[], view: Pick<Map<string, unknown>, "get">, count: () => number, most: number) {
  const isNew = ({ key }: Mark) => view.get(key) === undefined;
  const room = marks.some(isNew) ? Math.max(0, most - count()) : 0;
  const refused = new Set(marks.filter(isNew).slice(room));
  return {
    marks: marks.filter((mark) => !refused.has(mark)),
    left: [...refused].map(({ key }) => `${key.split("/").slice(-1)[0]} is not stored: there are ${most} already`),
  };
}

function countOf(view: { entries(): Iterable<readonly [string, unknown]> }, prefix: string): number {
  let count = 0;
  for (const [key] of view.entries()) if (key.startsWith(prefix)) count++;
  return count;
}

function nextOrders(deps: EffectDeps, lease: LeaseId | undefined, record: ExecutionRecord, next: readonly string[], orderedAt: string) {
  const { keys, views } = deps;
  const notes: string[] = [];
  const allowed: JobEntry[] = [];
  const left = ordersLeft(record.orderId);
  const labels = views.nodes.get(keys.node(record.nodeId))?.labels ?? {};
  for (const name of next) {
    const { group, id } = fromKey(name);
    const entry = views.jobs.get(keys.job(group, id));
    const why =
      whyNoNext(record) ??
      (entry === undefined
        ? "there is no such job"
        : !entry.job.rules.some((rule) => matchesTarget(rule.target, { id: record.nodeId, labels }))
          ? `none of its rules matches node ${record.nodeId}`
          : allowed.length >= left
            ? `${CHAIN_LIMIT} executions have followed one another through results already; start the job by a timer or by hand`
            : undefined);
    if (why !== undefined) notes.push(`next: ${name} is not ordered: ${why}`);
    else if (entry !== undefined) allowed.push(entry);
  }
  const leftEach = Math.floor((left - allowed.length) / Math.max(1, allowed.length));
  const orders = allowed.map((entry, at): Op => {
    const id = `next-${leftEach}-${record.id}-${at + 1}`;
    const order = runOrder(entry, { id, execution: deps.newId(), by: `result of ${record.id}`, orderedAt });
    return { op: "put", key: keys.order(record.nodeId, id), value: encode(order), lease };
  });
  return { orders, notes };
}

/** Why nothing follows such a record, whatever it names. */
function whyNoNext(record: ExecutionRecord): string | undefined {
  if (!record.finalAttempt) return "another attempt follows first";
  return record.outcome.type === "exit" ? undefined : "the command did not end by itself";
}

/** How many orders may still follow from an execution that `orderId` has led to. */
function ordersLeft(orderId: string | undefined): number {
  const match = /^next-(\d{1,6})-/.exec(orderId ?? "");
  return match === null ? CHAIN_LIMIT : Math.min(CHAIN_LIMIT, Number(match[1]));
}
