import test from "ava";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import type { Kv } from "./kv.ts";
import { createMemoryStore } from "./memory-kv.ts";
import { type MirrorEvent, openMirror } from "./mirror.ts";

const base = { clock: systemClock, random: systemRandom, log: silentLog };

/** A store, a writer and a mirror whose events end in `told` (as text) and in `held` (as a map). */
function setup(options: { resyncMs?: number; kv?: (kv: Kv) => Kv; before?: (event: string) => void } = {}) {
  const store = createMemoryStore({ clock: systemClock });
  const writer = store.connect();
  const connection = store.connect();
  const told: string[] = [];
  const held = new Map<string, string>();
  const lists: number[] = [];
  const open = () =>
    openMirror(
      { ...base, kv: options.kv?.(connection) ?? connection },
      {
        prefix: "/p/",
        resyncMs: options.resyncMs,
        onSynced: (revision) => lists.push(revision),
        onEvents(events: readonly MirrorEvent[]) {
          for (const event of events) {
            const text = event.type === "put" ? `put ${event.kv.key}=${event.kv.value}` : `delete ${event.key}`;
            options.before?.(text);
            told.push(text);
            if (event.type === "put") held.set(event.kv.key, event.kv.value);
            else held.delete(event.key);
          }
        },
      },
    );
  const put = async (key: string, value: string) => (await writer.txn({ then: [{ op: "put", key, value }] })).revision;
  const del = async (key: string) => (await writer.txn({ then: [{ op: "delete", key }] })).revision;
  return { store, writer, connection, told, held, lists, open, put, del };
}

test("the first list comes as puts, then changes, other prefixes are not told", async (t) => {
  const s = setup();
  await s.put("/p/a", "1");
  await s.put("/q/a", "no");
  const mirror = s.open();
  await mirror.synced;
  await s.put("/p/b", "2");
  await mirror.reached(await s.del("/p/a"));
  t.deepEqual(s.told, ["put /p/a=1", "put /p/b=2", "delete /p/a"]);
  t.true(mirror.live());
  t.is(mirror.revision(), s.store.revision());
  await mirror.close();
  t.false(mirror.live());
});

test("many pages are listed once each", async (t) => {
  const s = setup();
  for (let i = 0; i < 1234; i++) await s.put(`/p/${String(i).padStart(5, "0")}`, "x");
  const mirror = s.open();
  await mirror.synced;
  t.is(s.told.length, 1234);
  t.is(mirror.revision(), s.store.revision());
  await mirror.close();
});

test("a cut watch goes on from the next revision, without a list", async (t) => {
  const s = setup();
  const mirror = s.open();
  await mirror.synced;
  await mirror.reached(await s.put("/p/a", "1"));
  s.connection.disconnect();
  for (let i = 0; i < 3000; i++) await s.put("/p/a", String(i));
  s.connection.reconnect();
  await mirror.reached(s.store.revision());
  t.is(s.told.length, 3001);
  t.is(s.lists.length, 1);
  await mirror.close();
});

test("compaction while cut: a new list tells only the differences", async (t) => {
  const s = setup();
  for (const key of ["a", "b", "c"]) await s.put(`/p/${key}`, "1");
  const mirror = s.open();
  await mirror.synced;
  s.told.length = 0;
  s.connection.disconnect();
  await s.put("/p/b", "2");
  await s.del("/p/c");
  await s.put("/p/d", "1");
  await s.put("/q/x", "1");
  s.store.compact();
  s.connection.reconnect();
  await mirror.reached(s.store.revision());
  t.deepEqual(s.told.toSorted(), ["delete /p/c", "put /p/b=2", "put /p/d=1"]);
  t.is(s.lists.length, 2);
  await mirror.close();
});

test("a wiped store: what is gone is deleted, what is there is told again", async (t) => {
  const s = setup();
  for (const key of ["a", "b", "c"]) await s.put(`/p/${key}`, "1");
  const mirror = s.open();
  await mirror.synced;
  s.told.length = 0;
  s.store.reset();
  await s.put("/p/a", "new");
  await mirror.reached(s.store.revision());
  while (s.held.size !== 1) await systemClock.sleep(5);
  t.deepEqual([...s.held], [["/p/a", "new"]]);
  t.is(mirror.revision(), s.store.revision());
  await mirror.close();
});

test("an event that the watch lost is found by the periodic comparison", async (t) => {
  const s = setup({
    resyncMs: 20,
    kv: (kv) => ({
      ...kv,
      watch: (query, handlers) =>
        kv.watch(query, {
          ...handlers,
          onEvents(events, revision) {
            const kept = events.filter((event) => (event.type === "put" ? event.kv.value !== "lost" : event.key !== "/p/gone"));
            if (kept.length > 0) handlers.onEvents(kept, revision);
          },
        }),
    }),
  });
  await s.put("/p/gone", "1");
  const mirror = s.open();
  await mirror.synced;
  await s.put("/p/a", "lost");
  await s.del("/p/gone");
  while (s.held.get("/p/a") !== "lost" || s.held.has("/p/gone")) await systemClock.sleep(5);
  t.deepEqual(s.told, ["put /p/gone=1", "put /p/a=lost", "delete /p/gone"]);
  await mirror.close();
});

test("comparisons beside a busy watch tell nothing twice, stale or backwards", async (t) => {
  const s = setup({ resyncMs: 1 });
  const last = new Map<string, number>();
  const mirror = s.open();
  await mirror.synced;
  let revision = 0;
  for (let i = 0; i < 4000; i++) {
    const key = `/p/${i % 7}`;
    revision = i % 5 === 4 ? await s.del(key) : await s.put(key, String(i));
    if (i % 50 === 0) s.connection.setDelay(i % 100 === 0 ? 0 : 2);
    if (i % 400 === 0) await systemClock.sleep(3);
  }
  await mirror.reached(revision);
  for (const text of s.told) {
    const put = /^put (\S+)=(\d+)$/.exec(text);
    if (!put) continue;
    const [, key = "", value] = put;
    t.true(Number(value) > (last.get(key) ?? -1), text);
    last.set(key, Number(value));
  }
  const { kvs } = await s.writer.range({ start: "/p/", end: "/p0" });
  t.deepEqual(
    [...s.held].toSorted(),
    kvs.map((kv) => [kv.key, kv.value]),
  );
  await mirror.close();
});

test("a list is overtaken by the watch: a key deleted meanwhile stays deleted", async (t) => {
  const gate = Promise.withResolvers<void>();
  let lists = 0;
  const s = setup({
    resyncMs: 20,
    kv: (kv) => ({
      ...kv,
      async range(query) {
        const page = await kv.range(query);
        lists += 1;
        if (lists === 2) await gate.promise;
        return page;
      },
    }),
  });
  await s.put("/p/a", "1");
  const mirror = s.open();
  await mirror.synced;
  while (lists < 2) await systemClock.sleep(2);
  await s.put("/p/b", "1");
  await mirror.reached(await s.del("/p/a"));
  gate.resolve();
  while (lists < 4) await systemClock.sleep(2);
  t.deepEqual(s.told, ["put /p/a=1", "put /p/b=1", "delete /p/a"]);
  await mirror.close();
});

test("reached is honest about revisions of other prefixes", async (t) => {
  const s = setup();
  const mirror = s.open();
  await mirror.synced;
  const revision = await s.put("/q/elsewhere", "1");
  t.true(mirror.revision() < revision);
  await mirror.reached(revision);
  t.true(mirror.revision() >= revision);
  s.store.progress();
  await mirror.close();
  await t.throwsAsync(mirror.reached(revision + 1), { message: /closed/ });
});

test("progress marks move the revision", async (t) => {
  const s = setup();
  const mirror = s.open();
  await mirror.synced;
  while (!mirror.live()) await systemClock.sleep(1);
  const revision = await s.put("/q/elsewhere", "1");
  await systemClock.sleep(1);
  s.store.progress();
  t.is(mirror.revision(), revision);
  await mirror.close();
});

test("a consumer that throws does not stop the mirror", async (t) => {
  let thrown = 0;
  const s = setup({
    before(text) {
      if (!text.includes("bad")) return;
      thrown += 1;
      throw new Error("consumer");
    },
  });
  const mirror = s.open();
  await mirror.synced;
  await s.put("/p/bad", "1");
  await mirror.reached(await s.put("/p/good", "1"));
  t.is(thrown, 1);
  t.deepEqual(s.told, ["put /p/good=1"]);
  await mirror.close();
});

test("closed before the first list", async (t) => {
  const s = setup();
  s.connection.disconnect();
  const mirror = s.open();
  const synced = t.throwsAsync(mirror.synced, { message: /closed/ });
  await mirror.close();
  await synced;
});

test("closed while etcd does not answer its list: those who wait are told at once", async (t) => {
  const answer = Promise.withResolvers<void>();
  const { open } = setup({ kv: (kv) => ({ ...kv, range: (query) => answer.promise.then(() => kv.range(query)) }) });
  const mirror = open();
  mirror.synced.catch(() => {});
  const waiting = mirror.reached(5);
  const closed = mirror.close();
  await t.throwsAsync(waiting, { code: "etcd/closed" });
  // Only when the event loop turns does an answer arrive.
  setImmediate(answer.resolve);
  await closed;
});
