/** Reads many keys in few round trips. Each chunk is read at one revision. */
import { type KeyValue, type Kv, MAX_TXN_OPS } from "fleetcron-shared/store/kv";

/** The values at `keys`, undefined where there is none. */
export async function readKeys(kv: Kv, keys: readonly string[]): Promise<Map<string, KeyValue | undefined>> {
  const found = new Map<string, KeyValue | undefined>();
  const distinct = [...new Set(keys)];
  for (let start = 0; start < distinct.length; start += MAX_TXN_OPS) {
    const chunk = distinct.slice(start, start + MAX_TXN_OPS);
    const { results } = await kv.txn({ then: chunk.map((key) => ({ op: "get", key })) });
    chunk.forEach((key, position) => {
      const result = results[position];
      found.set(key, result?.op === "get" ? result.kv : undefined);
    });
  }
  return found;
}
