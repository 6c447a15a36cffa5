import test from "ava";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { createMemoryStore } from "./memory-kv.ts";
import { openView, type ViewChange } from "./view.ts";

const deps = { clock: systemClock, random: systemRandom, log: silentLog };

test("decoded values, changes with what was before, unreadable values as absent", async (t) => {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  const put = async (key: string, value: string) => (await kv.txn({ then: [{ op: "put", key, value }] })).revision;
  await put("/v/a", "1");
  await put("/v/bad", "{");
  const view = openView(
    { ...deps, kv },
    { prefix: "/v/", decode: (found): number | undefined => (found.value === "none" ? undefined : (JSON.parse(found.value) as number)) },
  );
  const changes: ViewChange<number>[] = [];
  const stop = view.onChange((batch) => changes.push(...batch));
  view.onChange(() => {
    throw new Error("listener");
  });
  await view.synced;
  t.deepEqual([...view.entries()], [["/v/a", 1]]);
  await put("/v/a", "2");
  await put("/v/bad", "3");
  await put("/v/a", "none");
  await put("/v/a", "none");
  await view.reached((await kv.txn({ then: [{ op: "delete", key: "/v/bad" }] })).revision);
  t.is(view.size, 0);
  t.is(view.get("/v/a"), undefined);
  t.deepEqual(changes, [
    { key: "/v/a", value: 1, previous: undefined },
    { key: "/v/a", value: 2, previous: 1 },
    { key: "/v/bad", value: 3, previous: undefined },
    { key: "/v/a", value: undefined, previous: 2 },
    { key: "/v/bad", value: undefined, previous: 3 },
  ]);
  stop();
  await view.reached(await put("/v/c", "9"));
  t.is(view.size, 1);
  t.is(changes.length, 5);
  await view.close();
});
