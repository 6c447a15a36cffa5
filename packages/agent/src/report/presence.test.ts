import test from "ava";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import type { Kv } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { openSession } from "fleetcron-shared/store/session";
import { createKeys } from "fleetcron-shared/wire/keys";
import { Presence } from "./presence.ts";
import type { Writer, WriteUnit } from "./writer.ts";

const keys = createKeys();

async function setUp() {
  const clock = createManualClock();
  const memory = createMemoryStore({ clock }).connect();
  let txns = 0;
  const kv: Kv = {
    ...memory,
    txn: (txn) => {
      txns++;
      return memory.txn(txn);
    },
  };
  const session = openSession({ kv, clock, random: systemRandom, log: silentLog }, { ttlMs: 10_000 });
  const units: WriteUnit[] = [];
  const writer = { submit: (unit: WriteUnit) => units.push(unit) } as unknown as Writer;
  let running = 0;
  const presence = new Presence(
    { kv, clock, keys, session, writer, log: silentLog },
    { id: "n", instance: "i", startedAt: "2027-01-01T00:00:00.000Z" },
    { state: () => ({ running, queued: 0, observedRevision: 1 }), onDuplicate: () => {} },
  );
  await presence.announce();
  /** What runs changes, and is about to be written. */
  const change = async () => {
    running++;
    presence.countsChanged();
    await clock.advance(300);
  };
  await change();
  return { clock, kv, units, change, txns: () => txns };
}

test("a write that a newer one has overtaken is not taken for refused", async (t) => {
  const { clock, units, change, txns } = await setUp();
  await change();
  await change();
  const before = txns();
  for (const unit of units) {
    if (unit.isWanted?.() !== false) continue;
    unit.onSettled(false);
  }
  await clock.advance(1000);
  t.is(txns(), before, "nobody announces the node anew");
});

test("a write that etcd has refused is answered by one announcement", async (t) => {
  const { clock, kv, units, txns } = await setUp();
  const last = units.at(-1);
  await kv.txn({ then: [{ op: "delete", key: keys.alive("n") }] });
  const before = txns();
  last?.onSettled(false);
  last?.onSettled(false);
  await clock.advance(1000);
  t.is(txns() - before, 1);
  t.truthy(await kv.get(keys.alive("n")));
});
