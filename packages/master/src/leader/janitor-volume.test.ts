import test from "ava";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import { exists, MAX_TXN_OPS, type Op, prefixRange, type Txn } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createOrderLease } from "../ops/order-lease.ts";
import { openViews } from "../views.ts";
import { startJanitor } from "./janitor.ts";
import { NO_STATS } from "./stats.ts";

const JOBS = 200;
/** An hour was simulated once and stays as bounded; it takes a minute of computing. */
const MINUTES = 10;
const KEPT = 100;
const AGE_MS = 300_000;
const NOW = "2026-01-01T00:00:00.000Z";

test("minutes of 200 jobs that run every second: what is kept stays bounded, with one range delete a job and pass", async (t) => {
  t.timeout(180_000);
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const kv = store.connect();
  const keys = createKeys();
  const newId = createIdSource({ clock, random: systemRandom });
  const write = async (ops: readonly Op[]) => {
    for (let at = 0; at < ops.length; at += MAX_TXN_OPS) await kv.txn({ then: ops.slice(at, at + MAX_TXN_OPS) });
  };
  const idOf = (n: number) => `j${String(n).padStart(3, "0")}`;
  /** Even jobs keep a number of records, odd ones keep them for a time. */
  const stored = (n: number): StoredJob => ({
    ...{ v: 1, group: "g", id: idOf(n), createdAt: NOW, updatedAt: NOW, submittedAt: NOW },
    spec: {
      run: { command: { script: "x" } },
      rules: [{ mode: "cycle", timer: "* * * * * *" }],
      retain: n % 2 === 0 ? { count: KEPT } : { count: 100_000, age: "5m" },
    },
  });
  const all = Array.from({ length: JOBS }, (_, n) => n);
  await write([{ op: "put", key: keys.leader, value: '{"v":1}' }]);
  await write(all.map((n) => ({ op: "put", key: keys.job("g", idOf(n)), value: JSON.stringify(stored(n)) })));

  const deletes: number[] = [];
  const counted = {
    ...kv,
    txn(txn: Txn) {
      deletes.push(txn.then.length);
      return kv.txn(txn);
    },
  };
  const deps = { kv: counted, keys, clock, random: systemRandom, log: silentLog };
  const views = openViews(deps);
  await views.synced;
  const term = { revision: 1, guard: exists(keys.leader), ended: new AbortController().signal, trusted: () => true };
  const janitor = startJanitor({ ...deps, newId, views, orderLease: createOrderLease(deps), passPoint: () => {}, term });
  const count = async (prefix: string) => (await kv.range({ ...prefixRange(prefix), countOnly: true })).count;

  for (let minute = 0; minute < MINUTES; minute++) {
    const from = clock.now();
    for (const n of all) {
      const ids = Array.from({ length: 60 }, (_, second) => newId(from + second * 1000));
      await write(ids.map((id) => ({ op: "put", key: keys.record("g", idOf(n), `${id}-1`), value: '{"v":1}' })));
    }
    await write(
      all.map((n) => ({ op: "put", key: keys.stats("g", idOf(n)), value: JSON.stringify({ ...NO_STATS, successCount: minute }) })),
    );
    deletes.length = 0;
    await clock.advance(60_000);
    t.true(deletes.length <= JOBS + JOBS && deletes.every((ops) => ops === 1), `${deletes.length} deletes in a pass`);
    const ages = Math.min(minute + 1, AGE_MS / 60_000) * 60;
    t.is(await count(keys.records), (JOBS / 2) * (Math.min((minute + 1) * 60, KEPT) + ages), `after ${minute + 1} minutes`);
    store.compact();
  }

  await write(all.filter((n) => n >= 50).map((n) => ({ op: "delete", key: keys.job("g", idOf(n)) })));
  clock.stall(8 * 86_400_000);
  await clock.advance(600_000);
  t.is(await count(keys.statsAll), 50, "statistics go with their jobs");
  t.is(await count(keys.records), 0, "records go by age, whether their job is there or not");
  await janitor.stop();
  await views.close();
});
