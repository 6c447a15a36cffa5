/** Conditional writes of the API whose answer may be lost: then it is read back whether they are there, so that a done write is no failure. */
import type { Compare, KeyValue, Kv, Op, Txn, TxnResult } from "fleetcron-shared/store/kv";
import { settleTxn } from "fleetcron-shared/store/settle";
import { readKeys } from "./read-keys.ts";

/**
 * Runs `txn`, which must carry a condition that its own puts and deletes break or that makes them repeatable. It counts as done when every key
 * that it puts or deletes is as it wants it (a transaction happens as a whole). `results` are empty after a read-back.
 */
export function settle(kv: Pick<Kv, "txn">, txn: Txn): Promise<TxnResult> {
  return settleTxn(kv, txn, async () => {
    const writes = txn.then.filter((op) => op.op === "put" || op.op === "delete");
    const found = await readKeys(
      kv,
      writes.map(({ key }) => key),
    );
    if (!writes.every((op) => isDone(op, found.get(op.key)))) return undefined;
    const revisions = [...found.values()].map((read) => read?.modRevision ?? 0);
    return { succeeded: true, revision: Math.max(0, ...revisions), results: [] };
  });
}

function isDone(op: Op, found: KeyValue | undefined): boolean {
  return op.op === "put" ? found?.value === op.value : found === undefined;
}

/** Puts `value` under `condition`. Returns what stands there now, or undefined when the condition does not hold. */
export async function putUnder(kv: Pick<Kv, "txn">, condition: Compare, key: string, value: string): Promise<KeyValue | undefined> {
  const { succeeded, revision } = await settle(kv, { if: [condition], then: [{ op: "put", key, value }] });
  return succeeded ? { key, value, modRevision: revision, createRevision: revision, version: 1, lease: undefined } : undefined;
}
