/**
 * A write whose answer may be lost: run it; when the outcome is unknown, read back before trying again. The write must carry its own condition,
 * so that a first attempt that arrives late cannot be applied on top of the second one.
 */
import { isCode } from "../base/errors.ts";
import type { Kv, Txn, TxnResult } from "./kv.ts";

/** A write that keeps losing its answer is given up after this many attempts. */
const ATTEMPTS = 3;

/**
 * Runs `txn`. After an unknown outcome `confirm` reads back: what the result was if the write is there, or undefined if it is not and may be
 * tried again. Throws what the last attempt threw (`etcd/unknown-outcome` also when reading back fails).
 */
export async function settleTxn(kv: Pick<Kv, "txn">, txn: Txn, confirm: () => Promise<TxnResult | undefined>): Promise<TxnResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      const result = await kv.txn(txn);
      // A later attempt whose condition fails may have met the first one's own write.
      if (attempt > 1 && !result.succeeded) return (await confirm()) ?? result;
      return result;
    } catch (error) {
      if (!isCode(error, "etcd/unknown-outcome")) throw error;
      let there: TxnResult | undefined;
      try {
        there = await confirm();
      } catch {
        throw error;
      }
      if (there) return there;
      if (attempt >= ATTEMPTS) throw error;
    }
  }
}
