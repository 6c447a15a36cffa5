/** What every leader service works with, and the one way in which it writes: under the term. */
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { Term } from "fleetcron-shared/store/election";
import type { Kv, Txn, TxnResult } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Hold } from "../history/hold.ts";
import { type PassPoint, passing, type Step } from "../kill-points.ts";
import type { Observe } from "../observe.ts";
import type { OrderLease } from "../ops/order-lease.ts";
import type { Views } from "../views.ts";

export type LeaderDeps = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly newId: IdSource;
  readonly views: Views;
  readonly orderLease: OrderLease;
  readonly passPoint: PassPoint;
  readonly term: Term;
  readonly observe?: Observe | undefined;
  /** What must not be deleted before it is in the history; undefined: there is none. */
  readonly hold?: Hold | undefined;
};

/** A service of one term: it has started when it exists, and ends with the term or by `stop`. */
export type LeaderService = { stop(): Promise<void> };

/** Writes as the leader of `term`: the transaction holds only while the term does. Throws when the term has ended here already. */
export function leaderTxn(deps: Pick<LeaderDeps, "kv" | "term">, txn: Txn): Promise<TxnResult> {
  if (!deps.term.trusted()) return Promise.reject(new AppError("etcd/lease-gone", "this master leads no longer"));
  return deps.kv.txn(guarded(deps, txn));
}

/** The same, for a transaction that is these steps. */
export function leaderStep(
  deps: Pick<LeaderDeps, "kv" | "term" | "passPoint">,
  steps: Step | readonly Step[],
  txn: Txn,
): Promise<TxnResult> {
  if (!deps.term.trusted()) return Promise.reject(new AppError("etcd/lease-gone", "this master leads no longer"));
  // From here on only etcd can tell whether this master still leads: it may sleep for a minute before its words go out.
  return passing(deps.passPoint, typeof steps === "string" ? [steps] : steps, () => deps.kv.txn(guarded(deps, txn)));
}

function guarded({ term }: Pick<LeaderDeps, "term">, txn: Txn): Txn {
  return { ...txn, if: [term.guard, ...(txn.if ?? [])] };
}
