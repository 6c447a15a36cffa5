/** Faults that are planted into the way to etcd, to show that the simulation finds them. `none` is what everybody else uses. */
import type { Kv, Op, Txn } from "fleetcron-shared/store/kv";

export const SABOTAGES = ["none", "claims", "records", "locks", "leader"] as const;
export type SabotageName = (typeof SABOTAGES)[number];
export type Sabotage = {
  readonly name: SabotageName;
  wrap(kv: Kv): Kv;
};

/**
 * `claims`: nobody sees that a tick is claimed, nor does etcd compare it. `locks`: etcd does not compare whether the lock of an `alone` job is held. `records`: every
 * fortieth record is lost on its way into the inbox, and acknowledged. `leader`: etcd does not compare whether somebody leads.
 */
export function createSabotage(name: SabotageName): Sabotage {
  let records = 0;

  function isBlind(key: string): boolean {
    if (name === "claims") return key.includes("/claims/");
    if (name === "locks") return key.includes("/locks/") || key.includes("/claims/");
    return name === "leader" && key.endsWith("/leader");
  }

  function keeps(op: Op): boolean {
    if (name !== "records" || op.op !== "put" || !op.key.includes("/inbox/")) return true;
    return ++records % 40 !== 0;
  }

  function change(txn: Txn): Txn {
    return { ...txn, if: (txn.if ?? []).filter(({ key }) => !isBlind(key)), then: txn.then.filter(keeps) };
  }

  return {
    name,
    wrap: (kv) =>
      name === "none"
        ? kv
        : {
            ...kv,
            txn: (txn) => kv.txn(change(txn)),
            get: async (key) => (name === "claims" && isBlind(key) ? undefined : kv.get(key)),
          },
  };
}
