/**
 * The store as the routes of the API have it: while a request is worked on, what is outside of its caller's groups is not there and cannot be written, and every
 * change is in the audit log, in its own transaction. (A transaction that is full leaves no room: then the entry follows right after it.) Outside of requests it is
 * the store as it is. Etcd away: as without.
 */

import type { Clock } from "fleetcron-shared/base/clock";
import { toIso } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { AuditEntry } from "fleetcron-shared/model/access";
import { type Kv, MAX_TXN_OPS, type Op, type Txn, type TxnResult } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Asking } from "../caller.ts";
import { auditChanges, type Write } from "./audit-change.ts";
import { familyOf } from "./families.ts";
import { checkWrite } from "./may-write.ts";
import { getWithin, handlersWithin, rangeWithin, resultsWithin } from "./scoped-reads.ts";

export type GuardDeps = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly clock: Pick<Clock, "now">;
  readonly newId: IdSource;
  readonly log: Log;
};

/** `current`: the request that is worked on. */
export function guardKv(deps: GuardDeps, current: () => Asking | undefined): Kv {
  const { kv, keys } = deps;
  const groupsOf = () => current()?.caller.groups;

  async function txn(wanted: Txn): Promise<TxnResult> {
    const asking = current();
    if (asking === undefined) return kv.txn(wanted);
    for (const op of [...wanted.then, ...(wanted.else ?? [])]) checkWrite(keys, asking.caller, op);
    const result = await auditedTxn(deps, asking, wanted);
    const { groups } = asking.caller;
    const ops = result.succeeded ? wanted.then : (wanted.else ?? []);
    return groups === undefined ? result : { ...result, results: resultsWithin(keys, groups, ops, result.results) };
  }

  return {
    ...kv,
    get(key) {
      const groups = groupsOf();
      return groups === undefined ? kv.get(key) : getWithin(deps, groups, key);
    },
    range(query) {
      const groups = groupsOf();
      return groups === undefined ? kv.range(query) : rangeWithin(deps, groups, query);
    },
    txn,
    watch(query, handlers) {
      const groups = groupsOf();
      return kv.watch(query, groups === undefined ? handlers : handlersWithin(keys, groups, handlers));
    },
  };
}

async function auditedTxn(deps: GuardDeps, asking: Asking, wanted: Txn): Promise<TxnResult> {
  const { kv, keys, log } = deps;
  const told = wanted.then.filter((op) => op.op !== "get" && familyOf(keys, op.key).family.audit !== undefined);
  const entry = told.length === 0 ? undefined : entryOf(deps, asking, await writesOf(kv, told));
  if (entry === undefined) return kv.txn(wanted);
  const put: Op = { op: "put", key: keys.audit(entry.id), value: encode(entry) };
  if (wanted.then.length < MAX_TXN_OPS) {
    const result = await kv.txn({ ...wanted, then: [...wanted.then, put] });
    return result.succeeded ? { ...result, results: result.results.slice(0, wanted.then.length) } : result;
  }
  const result = await kv.txn(wanted);
  if (result.succeeded) {
    await kv.txn({ then: [put] }).catch((error: unknown) => log.error({ err: asError(error), entry }, "a change is not in the audit log"));
  }
  return result;
}

/** An entry, when the writes are anything to tell. */
export function entryOf(
  deps: Pick<GuardDeps, "keys" | "clock" | "newId">,
  asking: Asking,
  writes: readonly Write[],
): AuditEntry | undefined {
  const { changes, more } = auditChanges(deps.keys, writes);
  return changes.length === 0 && more === 0 ? undefined : { ...headOf(deps, asking), changes, ...(more === 0 ? {} : { more }) };
}

export function headOf({ clock, newId }: Pick<GuardDeps, "clock" | "newId">, asking: Asking): Omit<AuditEntry, "changes" | "more"> {
  const { type, name, role } = asking.caller;
  const { request, requestId, remote } = asking;
  return { v: 1, id: newId(), at: toIso(clock.now()), who: { type, name, role }, request, requestId, remote };
}

/** What is there before. A change that is conditional on it fails when it is not so any more. */
async function writesOf(kv: Kv, ops: readonly Op[]): Promise<Write[]> {
  const { results } = await kv.txn({ then: ops.map(({ key }) => ({ op: "get", key })) });
  return ops.map((op, at) => {
    const result = results[at];
    const before = result?.op === "get" ? result.kv?.value : undefined;
    return { key: op.key, before, after: op.op === "put" ? op.value : undefined };
  });
}
