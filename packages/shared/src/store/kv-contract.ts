/**
 * What every adapter of the store port must do, as cases that a test file runs against it. Each case gets a prefix of its own, so they may run
 * side by side on one store (only `compact` is felt by all, so the compaction case keeps to revisions before its own writes).
 */
import assert from "node:assert/strict";
import { isCode } from "../base/errors.ts";
import { absent, exists, type Kv, MAX_TXN_OPS, type Op, prefixRange, type Revision, sameIncarnation, unchanged, type WatchEnd, type WatchEvent } from "./kv.ts";

export type ContractEnv = {
  readonly kv: Kv;
  /** Ends with `/`; nobody else writes below it. */
  readonly prefix: string;
  /** A further connection to the same store. */
  connect(): Kv;
  compact(revision: Revision): Promise<void>;
};

export type ContractCase = { readonly name: string; run(env: ContractEnv): Promise<void> };

const put = (key: string, value: string, lease?: string): Op => ({ op: "put", key, value, lease });
const write = async (kv: Kv, ...ops: Op[]) => (await kv.txn({ then: ops })).revision;
const holds = async (kv: Kv, compare: Parameters<Kv["txn"]>[0]["if"]) => (await kv.txn({ ...(compare ? { if: compare } : {}), then: [] })).succeeded;
const failsWith =
  (code: Parameters<typeof isCode>[1]) =>
  (error: unknown): boolean =>
    isCode(error, code);

/** A watch whose events are collected; `until` resolves when enough of them have come. */
export function collect(kv: Kv, query: Parameters<Kv["watch"]>[0]) {
  const batches: (readonly WatchEvent[])[] = [];
  const revisions: Revision[] = [];
  const ended = Promise.withResolvers<WatchEnd>();
  const started = Promise.withResolvers<void>();
  let ends = 0;
  let check = () => {};
  const stop = kv.watch(query, {
    onStarted: started.resolve,
    onEvents(events, revision) {
      batches.push(events);
      revisions.push(revision);
      check();
    },
    onEnd(end) {
      ends += 1;
      ended.resolve(end);
    },
  });
  const events = () => batches.flat();
  const until = (count: number) =>
    new Promise<WatchEvent[]>((resolve) => {
      check = () => events().length >= count && resolve(events());
      check();
    });
  return { batches, revisions, started: started.promise, ended: ended.promise, ends: () => ends, until, stop };
}

const text = (event: WatchEvent) => (event.type === "put" ? `put ${event.kv.key.split("/").at(-1)}=${event.kv.value}` : `delete ${event.key.split("/").at(-1)}`);

const READ_CASES: ContractCase[] = [
  {
    name: "get: what was put, with its revisions, version and lease; undefined when absent",
    async run({ kv, prefix }) {
      assert.equal(await kv.get(`${prefix}a`), undefined);
      const first = await write(kv, put(`${prefix}a`, "1"));
      const { lease } = await kv.grantLease(30_000);
      const second = await write(kv, put(`${prefix}a`, "ü€😀", lease));
      assert.equal(typeof second, "number");
      assert.deepEqual(await kv.get(`${prefix}a`), { key: `${prefix}a`, value: "ü€😀", createRevision: first, modRevision: second, version: 2, lease });
      await write(kv, put(`${prefix}a`, ""));
      assert.equal((await kv.get(`${prefix}a`))?.lease, undefined);
      await kv.revokeLease(lease);
      assert.equal((await kv.get(`${prefix}a`))?.value, "");
    },
  },
  {
    name: "range: order, limit and more, reverse, keysOnly, countOnly",
    async run({ kv, prefix }) {
      await write(kv, ...["c", "a", "d", "b"].map((key) => put(prefix + key, `v${key}`)));
      const range = prefixRange(prefix);
      const keys = (found: Awaited<ReturnType<Kv["range"]>>) => found.kvs.map((kv) => kv.key.slice(prefix.length)).join("");
      const all = await kv.range(range);
      assert.equal(keys(all), "abcd");
      assert.deepEqual([all.more, all.count, all.kvs[1]?.value], [false, 4, "vb"]);
      assert.match(all.clusterId, /^\d+$/);
      const limited = await kv.range({ ...range, limit: 3 });
      assert.deepEqual([keys(limited), limited.more, limited.count], ["abc", true, 4]);
      assert.deepEqual([keys(await kv.range({ ...range, limit: 4 })), (await kv.range({ ...range, limit: 4 })).more], ["abcd", false]);
      assert.equal(keys(await kv.range({ ...range, reverse: true, limit: 2 })), "dc");
      const keysOnly = await kv.range({ ...range, keysOnly: true });
      assert.deepEqual([keys(keysOnly), keysOnly.kvs[0]?.value, keysOnly.kvs[0]?.modRevision], ["abcd", "", all.kvs[0]?.modRevision]);
      const counted = await kv.range({ ...range, countOnly: true });
      assert.deepEqual([counted.kvs.length, counted.count, counted.more], [0, 4, false]);
      assert.equal(keys(await kv.range({ start: `${prefix}b`, end: `${prefix}d` })), "bc");
    },
  },
  {
    name: "range: the past at a revision; a future one is refused",
    async run({ kv, prefix }) {
      const first = await write(kv, put(`${prefix}a`, "1"));
      await write(kv, put(`${prefix}b`, "1"), { op: "delete", key: `${prefix}a` });
      const past = await kv.range({ ...prefixRange(prefix), revision: first });
      assert.deepEqual([past.kvs.map((kv) => kv.key), past.revision], [[`${prefix}a`], first]);
      await assert.rejects(kv.range({ ...prefixRange(prefix), revision: first + 1_000_000 }), failsWith("etcd/refused"));
    },
  },
  {
    name: "range: more than 4 MiB in one answer",
    async run({ kv, prefix }) {
      const value = "x".repeat(900_000);
      for (let i = 0; i < 6; i++) await write(kv, put(`${prefix}${i}`, value));
      const { kvs } = await kv.range(prefixRange(prefix));
      assert.equal(kvs.reduce((sum, kv) => sum + kv.value.length, 0), 5_400_000);
    },
  },
];

const TXN_CASES: ContractCase[] = [
  {
    name: "txn: each compare target and operator",
    async run({ kv, prefix }) {
      const key = `${prefix}a`;
      const { lease } = await kv.grantLease(30_000);
      const created = await write(kv, put(key, "1"));
      const modified = await write(kv, put(key, "2", lease));
      for (const [target, value] of [["createRevision", created], ["modRevision", modified], ["version", 2]] as const) {
        const answers = [];
        for (const is of ["=", "!=", ">", "<"] as const) for (const delta of [-1, 0, 1]) answers.push(await holds(kv, [{ key, target, is, value: value + delta }]));
        assert.deepEqual(answers, [false, true, false, true, false, true, true, false, false, false, false, true], target);
      }
      assert.deepEqual([await holds(kv, [{ key, target: "value", is: "=", value: "2" }]), await holds(kv, [{ key, target: "value", is: "!=", value: "2" }])], [true, false]);
      assert.deepEqual([await holds(kv, [{ key, target: "lease", is: "=", value: lease }]), await holds(kv, [{ key, target: "lease", is: "=", value: undefined }])], [true, false]);
      assert.deepEqual([await holds(kv, [{ key, target: "lease", is: "!=", value: undefined }]), await holds(kv, [{ key, target: "lease", is: "!=", value: lease }])], [true, false]);
      const none = `${prefix}none`;
      assert.deepEqual([await holds(kv, [absent(none)]), await holds(kv, [exists(none)]), await holds(kv, [exists(key)]), await holds(kv, [absent(key)])], [true, false, true, false]);
      assert.deepEqual([await holds(kv, [{ key: none, target: "value", is: "=", value: "" }]), await holds(kv, [{ key: none, target: "value", is: "!=", value: "x" }])], [false, false]);
      assert.deepEqual([await holds(kv, [unchanged(key, modified), sameIncarnation(key, created)]), await holds(kv, [unchanged(key, modified), absent(key)])], [true, false]);
      assert.equal(await holds(kv, [{ key: none, target: "lease", is: "=", value: undefined }]), true);
      await kv.revokeLease(lease);
    },
  },
  {
    name: "txn: results of each operation in both branches, deletes count, one revision",
    async run({ kv, prefix }) {
      const before = await write(kv, put(`${prefix}r1`, "1"), put(`${prefix}r2`, "2"), put(`${prefix}x`, "3"));
      const done = await kv.txn({
        if: [exists(`${prefix}x`)],
        then: [put(`${prefix}n`, "4"), { op: "get", key: `${prefix}n` }, { op: "delete", key: `${prefix}x` }, { op: "deleteRange", key: `${prefix}r`, end: `${prefix}s` }, { op: "delete", key: `${prefix}nothing` }],
        else: [{ op: "get", key: `${prefix}x` }],
      });
      assert.deepEqual([done.succeeded, done.revision], [true, before + 1]);
      const [first, second, ...rest] = done.results;
      assert.deepEqual([first, rest], [{ op: "put" }, [{ op: "delete", deleted: 1 }, { op: "deleteRange", deleted: 2 }, { op: "delete", deleted: 0 }]]);
      assert.deepEqual(second?.op === "get" && [second.kv?.value, second.kv?.modRevision], ["4", before + 1]);
      const failed = await kv.txn({ if: [exists(`${prefix}x`)], then: [put(`${prefix}n`, "5")], else: [{ op: "get", key: `${prefix}n` }, { op: "get", key: `${prefix}x` }] });
      assert.deepEqual([failed.succeeded, failed.results.map((result) => result.op === "get" && result.kv?.value)], [false, ["4", undefined]]);
      assert.deepEqual((await kv.txn({ if: [exists(`${prefix}x`)], then: [] })).results, []);
      assert.deepEqual((await kv.range(prefixRange(prefix))).kvs.map((kv) => kv.modRevision), [before + 1]);
    },
  },
  {
    name: "txn: a key that was deleted and put again begins anew",
    async run({ kv, prefix }) {
      await write(kv, put(`${prefix}a`, "1"));
      await write(kv, { op: "delete", key: `${prefix}a` });
      const revision = await write(kv, put(`${prefix}a`, "2"));
      const { createRevision, modRevision, version } = (await kv.get(`${prefix}a`)) ?? {};
      assert.deepEqual([createRevision, modRevision, version], [revision, revision, 1]);
    },
  },
  {
    name: "txn: too many operations, a key twice, and a value too large are refused; nothing is written",
    async run({ kv, prefix }) {
      const many = Array.from({ length: MAX_TXN_OPS + 1 }, (_, i) => put(`${prefix}${i}`, ""));
      await assert.rejects(kv.txn({ then: many }), failsWith("etcd/refused"));
      await assert.rejects(kv.txn({ then: [put(`${prefix}a`, "1"), put(`${prefix}a`, "2")] }), failsWith("etcd/refused"));
      await assert.rejects(kv.txn({ then: [put(`${prefix}a`, "1"), { op: "delete", key: `${prefix}a` }] }), failsWith("etcd/refused"));
      await assert.rejects(kv.txn({ then: [put(`${prefix}a`, "1"), { op: "deleteRange", key: prefix, end: `${prefix}z` }] }), failsWith("etcd/refused"));
      assert.equal((await kv.range(prefixRange(prefix))).count, 0);
      assert.equal((await kv.txn({ then: many.slice(1) })).succeeded, true);
    },
  },
  {
    name: "txn: of many create-if-absent at once exactly one succeeds",
    async run({ kv, prefix }) {
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => kv.txn({ if: [absent(`${prefix}a`)], then: [put(`${prefix}a`, String(i))] })));
      assert.equal(results.filter((result) => result.succeeded).length, 1);
    },
  },
];

const WATCH_CASES: ContractCase[] = [
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
        if (last?.type === "put" && next?.type === "put") assert.ok(next.kv.modRevision > last.kv.modRevision, "a revision was split over two batches");
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

const LEASE_CASES: ContractCase[] = [
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
      assert.deepEqual((await kv.range(prefixRange(prefix))).kvs.map((kv) => kv.value), ["2"]);
      await assert.rejects(kv.keepAlive(lease), failsWith("etcd/lease-gone"));
    },
  },
];

const CLOSE_CASES: ContractCase[] = [
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
      for (const call of [own.get(prefix), own.range(prefixRange(prefix)), own.txn({ then: [] }), own.grantLease(1000), own.keepAlive("1"), own.revokeLease("1")]) {
        await assert.rejects(call, failsWith("etcd/closed"));
      }
      assert.equal((await collect(own, { ...prefixRange(prefix), fromRevision: 1 }).ended).reason, "closed");
    },
  },
];

export const KV_CONTRACT: readonly ContractCase[] = [...READ_CASES, ...TXN_CASES, ...WATCH_CASES, ...LEASE_CASES, ...CLOSE_CASES];
