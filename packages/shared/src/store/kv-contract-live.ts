/** The store contract, second half: watches, leases, closing. */
import assert from "node:assert/strict";
import { MAX_TXN_OPS, prefixRange } from "./kv.ts";
import { type ContractCase, collect, failsWith, put, text, write } from "./kv-contract-tools.ts";

export const WATCH_CASES: ContractCase[] = [
  {
    name: "watch: from a past revision, in order, only the range, revisions whole",
    async run({ kv, prefix, connect }) {
      await write(kv, put(`${prefix}before`, "0"));
      const from = await write(kv, put(`${prefix}a`, "1"), put(`${prefix}b`, "1"));
      await write(kv, put(`${prefix.slice(0, -1)}~/other`, "1"));
      const watch = collect(connect(), { ...prefixRange(prefix), fromRevision: from });
      await watch.started;
      const last = await write(kv, { op: "deleteRange", key: prefix, end: `${prefix}z` }, put(`${prefix}z`, "2"));
      const events = await watch.until(6);
      assert.deepEqual(events.slice(0, 2).map(text).toSorted(), ["put a=1", "put b=1"]);
      assert.deepEqual(events.slice(2).map(text).toSorted(), ["delete a", "delete b", "delete before", "put z=2"]);
      assert.equal(watch.revisions.at(-1), last);
      const deleted = events.find((event) => event.type === "delete");
      assert.equal(deleted?.type === "delete" && deleted.modRevision, last);
      watch.stop();
      watch.stop();
      assert.equal((await watch.ended).reason, "closed");
      assert.equal(watch.ends(), 1);
    },
  },
  {
    name: "watch: a backlog of 5000 revisions, of 128 keys each now and then, arrives whole and in order",
    async run({ kv, prefix }) {
      const from = await write(kv, put(`${prefix}first`, "0"));
      let expected = 1;
      for (let i = 0; i < 50; i++) await Promise.all(Array.from({ length: 100 }, (_, k) => write(kv, put(`${prefix}${k}`, String(i)))));
      await write(kv, ...Array.from({ length: MAX_TXN_OPS }, (_, k) => put(`${prefix}${k}`, "x".repeat(5000))));
      expected += 5000 + MAX_TXN_OPS;
      const watch = collect(kv, { ...prefixRange(prefix), fromRevision: from });
      const events = await watch.until(expected);
      assert.equal(events.length, expected);
      const revisions = events.map((event) => (event.type === "put" ? event.kv.modRevision : event.modRevision));
      assert.ok(revisions.every((revision, i) => i === 0 || revision >= (revisions[i - 1] ?? 0)));
      for (const [i, batch] of watch.batches.entries()) {
        const last = batch.at(-1);
        const next = watch.batches[i + 1]?.[0];
        if (last?.type === "put" && next?.type === "put")
          assert.ok(next.kv.modRevision > last.kv.modRevision, "a revision was split over two batches");
      }
      watch.stop();
    },
  },
  {
    name: "watch: another cluster's id, or a revision far ahead, ends it as otherCluster",
    async run({ kv, prefix }) {
      const revision = await write(kv, put(`${prefix}a`, "1"));
      assert.equal((await collect(kv, { ...prefixRange(prefix), fromRevision: revision, clusterId: "42" }).ended).reason, "otherCluster");
      assert.equal((await collect(kv, { ...prefixRange(prefix), fromRevision: revision + 1_000_000 }).ended).reason, "otherCluster");
    },
  },
  {
    name: "compaction: reads and watches below it say so, the compacted revision itself is readable",
    async run({ kv, prefix, compact }) {
      const first = await write(kv, put(`${prefix}a`, "1"));
      const second = await write(kv, put(`${prefix}a`, "2"));
      await compact(second);
      await assert.rejects(kv.range({ ...prefixRange(prefix), revision: first }), failsWith("etcd/compacted"));
      assert.equal((await kv.range({ ...prefixRange(prefix), revision: second })).kvs[0]?.value, "2");
      assert.equal((await collect(kv, { ...prefixRange(prefix), fromRevision: first }).ended).reason, "compacted");
    },
  },
];

export const LEASE_CASES: ContractCase[] = [
  {
    name: "lease: rounded up to seconds; keys vanish in one revision when it expires, and the watch tells",
    async run({ kv, prefix }) {
      const { lease, ttlMs } = await kv.grantLease(1);
      assert.ok(ttlMs >= 1000 && ttlMs % 1000 === 0);
      const from = await write(kv, put(`${prefix}a`, "1", lease), put(`${prefix}b`, "1", lease), put(`${prefix}c`, "1"));
      const watch = collect(kv, { ...prefixRange(prefix), fromRevision: from + 1 });
      assert.deepEqual((await watch.until(2)).map(text).toSorted(), ["delete a", "delete b"]);
      assert.equal(watch.batches.length, 1);
      watch.stop();
      assert.equal((await kv.range(prefixRange(prefix))).count, 1);
      await assert.rejects(kv.keepAlive(lease), failsWith("etcd/lease-gone"));
      await assert.rejects(kv.txn({ then: [put(`${prefix}d`, "1", lease)] }), failsWith("etcd/lease-gone"));
    },
  },
  {
    name: "lease: keep-alive renews it, revoke removes its keys, revoking again is no error",
    async run({ kv, prefix }) {
      const { lease, ttlMs } = await kv.grantLease(5000);
      assert.deepEqual(await kv.keepAlive(lease), { ttlMs });
      await write(kv, put(`${prefix}a`, "1", lease), put(`${prefix}b`, "1", lease));
      await write(kv, put(`${prefix}b`, "2"));
      await kv.revokeLease(lease);
      await kv.revokeLease(lease);
      assert.deepEqual(
        (await kv.range(prefixRange(prefix))).kvs.map((kv) => kv.value),
        ["2"],
      );
      await assert.rejects(kv.keepAlive(lease), failsWith("etcd/lease-gone"));
    },
  },
];

export const CLOSE_CASES: ContractCase[] = [
  {
    name: "close: watches end once with closed, later calls and watches too, again is no error",
    async run({ kv, prefix, connect }) {
      const own = connect();
      const watch = collect(own, { ...prefixRange(prefix), fromRevision: await write(kv, put(`${prefix}a`, "1")) });
      await watch.until(1);
      await own.close();
      await own.close();
      assert.equal((await watch.ended).reason, "closed");
      watch.stop();
      assert.equal(watch.ends(), 1);
      for (const call of [
        own.get(prefix),
        own.range(prefixRange(prefix)),
        own.txn({ then: [] }),
        own.grantLease(1000),
        own.keepAlive("1"),
        own.revokeLease("1"),
      ]) {
        await assert.rejects(call, failsWith("etcd/closed"));
      }
      assert.equal((await collect(own, { ...prefixRange(prefix), fromRevision: 1 }).ended).reason, "closed");
    },
  },
];
