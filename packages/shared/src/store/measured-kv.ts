/** A store of which every call is measured; watches are not, because they have no end. */
import type { Clock } from "../base/clock.ts";
import type { Kv } from "./kv.ts";

export type KvCall = "range" | "txn" | "lease";

/** `onCall` gets each call with how long it took and whether it failed. */
export function measureKv(kv: Kv, clock: Pick<Clock, "mono">, onCall: (call: KvCall, ms: number, failed: boolean) => void): Kv {
  async function measure<T>(call: KvCall, work: () => Promise<T>): Promise<T> {
    const begunMs = clock.mono();
    let failed = true;
    try {
      const result = await work();
      failed = false;
      return result;
    } finally {
      onCall(call, clock.mono() - begunMs, failed);
    }
  }
  return {
    get: (key) => measure("range", () => kv.get(key)),
    range: (query) => measure("range", () => kv.range(query)),
    txn: (txn) => measure("txn", () => kv.txn(txn)),
    watch: (query, handlers) => kv.watch(query, handlers),
    grantLease: (ttlMs) => measure("lease", () => kv.grantLease(ttlMs)),
    keepAlive: (lease) => measure("lease", () => kv.keepAlive(lease)),
    revokeLease: (lease) => measure("lease", () => kv.revokeLease(lease)),
    onReplaced: (fn) => kv.onReplaced(fn),
    close: () => kv.close(),
  };
}
