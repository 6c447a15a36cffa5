/**
 * The transaction that advances a run (docs/keys.md): while the run and its requests are as they were read, put the run, delete the requests, answer who
 * asks, put the orders of the next tasks, and what others want to have written with it. Pure.
 */
import type { Effect } from "fleetcron-shared/model/pipeline/draft";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import type { Unfinished } from "fleetcron-shared/model/pipeline/request";
import { isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { type Compare, type LeaseId, MAX_TXN_BYTES, type Op, type Revision, type Txn, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Composed } from "./compose.ts";
import type { WaitingRequest } from "./request-queue.ts";
import { endOrder, startOrder } from "./task-orders.ts";

/** A run as it is stored. */
export type StoredRun = { readonly doc: RunDocument; readonly plan: RunPlan; readonly revision: Revision };
export type Kill = Extract<Effect, { type: "kill" }>;

/** A change of a run, as it is about to be stored. */
export type RunChange = {
  readonly plan: RunPlan;
  readonly before: RunDocument;
  readonly after: RunDocument;
  readonly effects: readonly Effect[];
};

/** What goes into the transaction of a change beside it. */
export type RunAddition = { readonly if: readonly Compare[]; readonly then: readonly Op[] };

/** At most so many of each go into one transaction: with all of them it has fewer operations than etcd takes. */
export const ADVANCE_LIMITS = { requests: 20, orders: 30, kills: 15, others: 20, orderBytes: MAX_TXN_BYTES / 2 } as const;

export type AdvanceInput = {
  readonly keys: Keys;
  readonly lease: LeaseId;
  readonly orderedAt: string;
  /** Where a master answers. */
  readonly api: string | undefined;
  readonly before: StoredRun;
  readonly made: Omit<Composed, "again">;
  readonly kills: readonly Kill[];
  readonly requests: readonly WaitingRequest[];
  /** What others want to have written with a change; of operations at most `ADVANCE_LIMITS.others`. */
  readonly also: RunAddition;
};

export function advanceTxn(input: AdvanceInput): Txn {
  const { keys, lease, before, made, kills, requests } = input;
  const { run, effects, answers, tokens } = made;
  const { plan } = before;
  const key = keys.run(run.group, run.pipeline, run.id);
  const then: Op[] = requests.map((request): Op => ({ op: "delete", key: request.key }));
  for (const [index, answer] of answers.entries()) {
    if (answer !== undefined) then.push({ op: "put", key: keys.answer(requests[index]?.id ?? ""), value: encode(answer), lease });
  }
  if (run !== before.doc) {
    const context = { ...input, plan, run };
    then.push({ op: "put", key, value: encode(run) });
    if (isRunEnd(run.state) !== isRunEnd(before.doc.state)) then.push(markOp(keys, run));
    for (const effect of effects) if (effect.type === "order") then.push(startOrder(context, effect, tokens.get(effect.execution)));
    for (const effect of kills) then.push(...endOrder(context, effect));
    then.push(...input.also.then.slice(0, ADVANCE_LIMITS.others));
  }
  const read = requests.map((request) => unchanged(request.key, request.revision));
  return { if: [unchanged(key, before.revision), ...read, ...input.also.if], then };
}

/** The mark of a run that is not over, or its end. */
function markOp(keys: Keys, run: RunDocument): Op {
  const key = keys.unfinished(run.id);
  const value: Unfinished = { v: 1, group: run.group, pipeline: run.pipeline };
  return isRunEnd(run.state) ? { op: "delete", key } : { op: "put", key, value: encode(value) };
}
