/** Puts orders for agents in one transaction, under the shared lease. */
import { isCode } from "fleetcron-shared/base/errors";
import type { Order } from "fleetcron-shared/model/facts";
import { type Compare, MAX_TXN_BYTES, MAX_TXN_OPS, type Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { OpsDeps } from "./ops-deps.ts";
import { settle } from "./settle.ts";

export type Addressed = { readonly node: string; readonly order: Order };

/** False when `condition` does not hold. Beyond 128 nodes (or 1 MiB) it takes several transactions, each under the condition. */
export async function putOrders(
  deps: Pick<OpsDeps, "kv" | "keys" | "orderLease">,
  condition: readonly Compare[],
  orders: readonly Addressed[],
  /** Written with the last of them. */
  also: readonly Op[] = [],
): Promise<boolean> {
  const lease = await deps.orderLease.current();
  try {
    for (const then of chunks(deps, orders, also, lease)) {
      const { succeeded } = await settle(deps.kv, { if: condition, then });
      if (!succeeded) return false;
    }
  } catch (error) {
    if (isCode(error, "etcd/lease-gone")) deps.orderLease.forget(lease);
    throw error;
  }
  return true;
}

function chunks(deps: Pick<OpsDeps, "keys">, orders: readonly Addressed[], also: readonly Op[], lease: string): Op[][] {
  const made: Op[][] = [];
  let bytes = 0;
  for (const { node, order } of orders) {
    const value = encode(order);
    let ops = made.at(-1);
    if (ops === undefined || ops.length >= MAX_TXN_OPS - also.length || bytes + value.length > MAX_TXN_BYTES) {
      ops = [];
      made.push(ops);
      bytes = 0;
    }
    bytes += Buffer.byteLength(value);
    ops.push({ op: "put", key: deps.keys.order(node, order.id), value, lease });
  }
  made.at(-1)?.push(...also);
  return made;
}
