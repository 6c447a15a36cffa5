/**
 * A lock is a key that lives with a lease. Whoever creates it holds it; its create revision is the fence that every write under the lock
 * compares. Nobody waits here: the loser learns who holds it. A lost answer is read back, so a lock is never held without knowing it
 * (unless etcd goes away altogether: then the error says so, and calling again with the same value and lease finds out).
 */
import {
  absent,
  type Compare,
  type KeyValue,
  type Kv,
  type LeaseId,
  type Op,
  type Revision,
  sameIncarnation,
  type TxnResult,
} from "./kv.ts";
import { settleTxn } from "./settle.ts";

export type LockRequest = {
  readonly key: string;
  /** Must differ for each holder of the same lease, because value and lease together tell that a lock is ours. */
  readonly value: string;
  readonly lease: LeaseId;
  /** Further conditions of the same transaction, and what it writes besides. */
  readonly and?: { readonly if: readonly Compare[]; readonly then: readonly Op[] };
};

/** `holder` undefined: the key is free, but one of the other conditions did not hold. */
export type LockResult =
  | { readonly acquired: true; readonly fence: Revision }
  | { readonly acquired: false; readonly holder: KeyValue | undefined };

/** Tries to take the lock once. Taking it again with the same value and lease succeeds with the same fence. */
export async function acquireLock(kv: Pick<Kv, "txn" | "get">, request: LockRequest): Promise<LockResult> {
  const { key, value, lease, and } = request;
  const isOurs = (kv: KeyValue | undefined): kv is KeyValue => kv?.lease === lease && kv.value === value;
  const confirm = async (): Promise<TxnResult | undefined> => {
    const found = await kv.get(key);
    return isOurs(found) ? { succeeded: false, revision: found.modRevision, results: [{ op: "get", kv: found }] } : undefined;
  };
  const txn = {
    if: [absent(key), ...(and?.if ?? [])],
    then: [{ op: "put", key, value, lease } as const, ...(and?.then ?? [])],
    else: [{ op: "get", key } as const],
  };
  const result = await settleTxn(kv, txn, confirm);
  if (result.succeeded) return { acquired: true, fence: result.revision };
  const [found] = result.results;
  const holder = found?.op === "get" ? found.kv : undefined;
  return isOurs(holder) ? { acquired: true, fence: holder.createRevision } : { acquired: false, holder };
}

/** Puts a lock that is ours under another lease; its fence stays as it is. False: it is ours no longer. Throws like any write. */
export async function carryLock(kv: Pick<Kv, "txn">, request: Omit<LockRequest, "and"> & { readonly fence: Revision }): Promise<boolean> {
  const { key, value, lease, fence } = request;
  const { succeeded } = await kv.txn({ if: [sameIncarnation(key, fence)], then: [{ op: "put", key, value, lease }] });
  return succeeded;
}
