/** Conditional writes of the API whose answer may be lost: then it is read back whether they are there, so that a done write is no failure. */
import type { Compare, KeyValue, Kv, Op, Revision, Txn, TxnResult } from "fleetcron-shared/store/kv";
import { settleTxn } from "fleetcron-shared/store/settle";

/**
 * Runs `txn`, which carries its own condition and puts or deletes at most 128 keys. After a lost answer it counts as done when each of these
 * keys is as it wants it (a transaction happens as a whole); `results` are then empty.
 */
export function settle(kv: Pick<Kv, "txn">, txn: Txn): Promise<TxnResult> {
  return settleTxn(kv, txn, async () => {
    const writes = txn.then.filter((op) => op.op === "put" || op.op === "delete");
    const read = await kv.txn({ then: writes.map(({ key }) => ({ op: "get", key })) });
    const found = read.results.map((result) => (result.op === "get" ? result.kv : undefined));
    if (!writes.every((op, at) => isDone(op, found[at]))) return undefined;
    const newest = Math.max(0, ...found.map((kv) => kv?.modRevision ?? 0));
    return { succeeded: true, revision: newest > 0 ? newest : read.revision, results: [] };
  });
}

function isDone(op: Op, found: KeyValue | undefined): boolean {
  return op.op === "put" ? found?.value === op.value : found === undefined;
}

/** Puts `value` under `condition`; returns its revision, or undefined when the condition does not hold. */
export async function putUnder(kv: Pick<Kv, "txn">, condition: Compare, key: string, value: string): Promise<Revision | undefined> {
  const { succeeded, revision } = await settle(kv, { if: [condition], then: [{ op: "put", key, value }] });
  return succeeded ? revision : undefined;
}
