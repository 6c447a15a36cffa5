/** Runs of pipelines that run no more: they go when they are too old, although nothing ends. In memory. */
import test from "ava";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { exists, prefixRange } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createOrderLease } from "../ops/order-lease.ts";
import { openViews } from "../views.ts";
import { startTidier, TOUR_MS } from "./tidy.ts";

const DAY_MS = 86_400_000;

test("the runs of a deleted pipeline stay until they are too old, and then go with their plans; what is not over stays", async (t) => {
  const clock = createManualClock();
  const kv = createMemoryStore({ clock }).connect();
  const keys = createKeys();
  const deps = { kv, keys, clock, random: systemRandom, log: silentLog, newId: createIdSource({ clock, random: systemRandom }) };
  const views = openViews(deps);
  await kv.txn({ then: [{ op: "put", key: keys.leader, value: '{"v":1}' }] });
  const store = async (pipeline: string, state: string) => {
    const id = deps.newId();
    const run = JSON.stringify({ v: 1, id, group: "g", pipeline, state, tasks: {}, endedAt: new Date(clock.now()).toISOString() });
    await kv.txn({
      then: [
        { op: "put", key: keys.run("g", pipeline, id), value: run },
        { op: "put", key: keys.plan("g", pipeline, id), value: run },
      ],
    });
  };
  for (const pipeline of ["gone", "other"]) await store(pipeline, "succeeded");
  await store("gone", "active");
  const left = async () => {
    const { kvs } = await kv.range(prefixRange(keys.runs));
    return kvs.map(({ key, value }) => `${keys.parts(key)[2]} ${JSON.parse(value).state}`);
  };
  await views.synced;
  const term = { revision: 1, guard: exists(keys.leader), ended: new AbortController().signal, trusted: () => true };
  const tidier = startTidier({ ...deps, views, orderLease: createOrderLease(deps), passPoint: () => {}, term });
  await clock.advance(2 * TOUR_MS);
  t.deepEqual(await left(), ["gone succeeded", "gone active", "other succeeded"], "they are young");
  clock.stall(31 * DAY_MS);
  await clock.advance(2 * TOUR_MS);
  t.deepEqual(await left(), ["gone active"]);
  t.is((await kv.range(prefixRange(`${keys.prefix}/plans/`))).count, 1);
  await tidier.stop();
  await views.close();
});
