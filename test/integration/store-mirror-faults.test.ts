/** The mirror on a real etcd under every fault that made etcd3's own watcher lose events: nothing missing, nothing twice, nothing stale. */
import test from "ava";
import { compact, observe, putMany, startFaultyEtcd, storeDeps, until } from "../support/store-bench.ts";

test.serial("flapping: cut again and again right after each connection", async (t) => {
  await using s = await startFaultyEtcd();
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  s.proxy.cut();
  const revision = await putMany(s.writer, "/p/", 2000);
  let cuts = 0;
  let pieces = 0;
  s.proxy.onData = (direction) => {
    if (direction !== "toClient" || cuts >= 10 || ++pieces % 2 !== 0) return;
    cuts += 1;
    s.proxy.drop();
  };
  s.proxy.open();
  await seen.mirror.reached(revision);
  t.true(cuts >= 3, `cut ${cuts} times`);
  t.is(seen.puts(), 2000);
  t.is(seen.lists(), 1);
  t.deepEqual(seen.faults, []);
  t.true(await seen.agrees(s.writer));
});

test.serial("a backlog of 5000 revisions, cut after its first part", async (t) => {
  await using s = await startFaultyEtcd();
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  s.proxy.cut();
  const revision = await putMany(s.writer, "/p/", 5000);
  let bytes = 0;
  s.proxy.onData = (direction, size) => {
    if (direction !== "toClient") return;
    bytes += size;
    if (bytes > 60_000) {
      bytes = Number.NEGATIVE_INFINITY;
      s.proxy.drop();
    }
  };
  s.proxy.open();
  await seen.mirror.reached(revision);
  t.is(bytes, Number.NEGATIVE_INFINITY, "it was cut");
  t.is(seen.puts(), 5000);
  t.deepEqual(seen.faults, []);
  t.true(await seen.agrees(s.writer));
});

test.serial("a backlog of more than 4 MiB", async (t) => {
  await using s = await startFaultyEtcd();
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  s.proxy.cut();
  let revision = 0;
  for (let i = 0; i < 6; i++) revision = await s.put(`/p/${i}`, String(i).repeat(1_000_000));
  s.proxy.open();
  await seen.mirror.reached(revision);
  t.is(seen.puts(), 6);
  t.is(seen.lists(), 1);
  t.true(await seen.agrees(s.writer));
});

test.serial("compaction while cut: a new list, of which only the differences are told", async (t) => {
  await using s = await startFaultyEtcd();
  await putMany(s.writer, "/p/", 1200, 1200);
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  const before = seen.puts();
  s.proxy.cut();
  await s.put("/p/0", "changed");
  await s.put("/p/new", "1");
  const revision = (await s.writer.txn({ then: [{ op: "delete", key: "/p/1" }] })).revision;
  await s.put("/q/later", "1");
  await compact(s.etcd, revision + 1);
  s.proxy.open();
  await seen.mirror.reached(revision);
  await until("listed again", () => seen.lists() === 2);
  t.is(seen.puts(), before + 2);
  t.deepEqual(seen.faults, []);
  t.true(await seen.agrees(s.writer));
});

test.serial("a wiped etcd: what is gone is deleted, what is there is told, and it goes on", async (t) => {
  await using s = await startFaultyEtcd();
  await putMany(s.writer, "/p/", 300);
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await s.etcd.restart({ wipe: true });
  await s.writer.get("/").catch(() => {});
  await until("the writer is back", () =>
    s.put("/p/5", "new").then(
      () => true,
      () => false,
    ),
  );
  await until("the mirror agrees", () => seen.agrees(s.writer));
  t.is(seen.held.size, 1);
  await seen.mirror.reached(await s.put("/p/6", "after"));
  t.true(await seen.agrees(s.writer));
});

test.serial("etcd killed with SIGKILL three times under load", async (t) => {
  await using s = await startFaultyEtcd();
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  let stop = false;
  let acknowledged = 0;
  const load = Array.from({ length: 8 }, async (_, w) => {
    for (let i = 0; !stop; i++) {
      await s.writer.txn({ then: [{ op: "put", key: `/p/${w}-${i}`, value: "x" }] }).then(
        () => {
          acknowledged += 1;
        },
        () => storeDeps.clock.sleep(20),
      );
    }
  });
  for (let round = 1; round <= 3; round++) {
    const target = acknowledged + 100;
    await until("writes are acknowledged", () => acknowledged >= target);
    await s.etcd.kill();
    await s.etcd.restart();
  }
  const target = acknowledged + 100;
  await until("writes are acknowledged again", () => acknowledged >= target);
  stop = true;
  await Promise.all(load);
  await seen.mirror.reached(await s.put("/p/last", "1"));
  t.is(seen.lists(), 1);
  t.deepEqual(seen.faults, []);
  t.true(await seen.agrees(s.writer));
});

test.serial("half-open: etcd is frozen, then thawed; and a connection whose packets vanish", async (t) => {
  await using s = await startFaultyEtcd({ callTimeoutMs: 500 });
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  s.etcd.pause();
  await t.throwsAsync(s.through.get("/p/a"));
  await until("the frozen stream is given up", () => !seen.mirror.live());
  s.etcd.resume();
  await seen.mirror.reached(await s.put("/p/a", "1"));
  s.proxy.blackhole();
  await t.throwsAsync(s.through.get("/p/a"));
  const revision = await s.put("/p/b", "2");
  s.proxy.open();
  const tookMs = await until("the mirror goes on", () => seen.mirror.revision() >= revision);
  t.true(tookMs < 4000, `${tookMs} ms`);
  t.is(seen.lists(), 1);
  t.true(await seen.agrees(s.writer));
});

test.serial("comparisons every few milliseconds beside a busy watch tell nothing twice or stale", async (t) => {
  await using s = await startFaultyEtcd();
  await using seen = observe(s.through, "/p/", { resyncMs: 5 });
  await seen.mirror.synced;
  await putMany(s.writer, "/p/", 3000, 40);
  for (let i = 0; i < 40; i++) await s.writer.txn({ then: [{ op: i % 3 === 0 ? "delete" : "get", key: `/p/${i}` }] });
  await seen.mirror.reached(await s.put("/p/last", "1"));
  t.deepEqual(seen.faults, []);
  t.true(await seen.agrees(s.writer));
});

test.serial("an answer that comes too late does not end the watches of a connection that lives", async (t) => {
  await using s = await startFaultyEtcd({ callTimeoutMs: 1000 });
  await using seen = observe(s.through, "/p/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  s.proxy.pause();
  await t.throwsAsync(s.through.get("/p/a"), { message: /did not answer in time/ });
  t.true(seen.mirror.live());
  s.proxy.open();
  await s.through.get("/p/a");
  await seen.mirror.reached(await s.put("/p/a", "1"));
  t.true(seen.mirror.live());
  t.true(await seen.agrees(s.writer));
});
