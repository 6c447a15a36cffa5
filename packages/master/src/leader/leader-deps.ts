/** What every leader service works with, and the one way in which it writes: under the term. */
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { Term } from "fleetcron-shared/store/election";
import type { Kv, Txn, TxnResult } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
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
  readonly term: Term;
};

/** A service of one term: it has started when it exists, and ends with the term or by `stop`. */
export type LeaderService = { stop(): Promise<void> };

/** Writes as the leader of `term`: the transaction holds only while the term does. Throws when the term has ended here already. */
export function leaderTxn(deps: Pick<LeaderDeps, "kv" | "term">, txn: Txn): Promise<TxnResult> {
  if (!deps.term.trusted()) return Promise.reject(new AppError("etcd/lease-gone", "this master leads no longer"));
  return deps.kv.txn({ ...txn, if: [deps.term.guard, ...(txn.if ?? [])] });
}
