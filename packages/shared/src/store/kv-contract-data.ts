/** The store contract, first half: reads and transactions. */
import assert from "node:assert/strict";
import { absent, exists, type Kv, MAX_TXN_OPS, prefixRange, sameIncarnation, unchanged } from "./kv.ts";
import { type ContractCase, failsWith, holds, put, write } from "./kv-contract-tools.ts";

export const READ_CASES: ContractCase[] = [
  {
    name: "get: what was put, with its revisions, version and lease; undefined when absent",
    async run({ kv, prefix }) {
      assert.equal(await kv.get(`${prefix}a`), undefined);
      const first = await write(kv, put(`${prefix}a`, "1"));
      const { lease } = await kv.grantLease(30_000);
      const second = await write(kv, put(`${prefix}a`, "ü€😀", lease));
      assert.equal(typeof second, "number");
      assert.deepEqual(await kv.get(`${prefix}a`), {
        key: `${prefix}a`,
        value: "ü€😀",
        createRevision: first,
        modRevision: second,
        version: 2,
        lease,
      });
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
      assert.equal(
        kvs.reduce((sum, kv) => sum + kv.value.length, 0),
        5_400_000,
      );
    },
  },
];

export const TXN_CASES: ContractCase[] = [
  {
    name: "txn: each compare target and operator",
    async run({ kv, prefix }) {
      const key = `${prefix}a`;
      const { lease } = await kv.grantLease(30_000);
      const created = await write(kv, put(key, "1"));
      const modified = await write(kv, put(key, "2", lease));
      for (const [target, value] of [
        ["createRevision", created],
        ["modRevision", modified],
        ["version", 2],
      ] as const) {
        const answers = [];
        for (const is of ["=", "!=", ">", "<"] as const)
          for (const delta of [-1, 0, 1]) answers.push(await holds(kv, [{ key, target, is, value: value + delta }]));
        assert.deepEqual(answers, [false, true, false, true, false, true, true, false, false, false, false, true], target);
      }
      assert.deepEqual(
        [
          await holds(kv, [{ key, target: "value", is: "=", value: "2" }]),
          await holds(kv, [{ key, target: "value", is: "!=", value: "2" }]),
        ],
        [true, false],
      );
      assert.deepEqual(
        [
          await holds(kv, [{ key, target: "lease", is: "=", value: lease }]),
          await holds(kv, [{ key, target: "lease", is: "=", value: undefined }]),
        ],
        [true, false],
      );
      assert.deepEqual(
        [
          await holds(kv, [{ key, target: "lease", is: "!=", value: undefined }]),
          await holds(kv, [{ key, target: "lease", is: "!=", value: lease }]),
        ],
        [true, false],
      );
      const none = `${prefix}none`;
      assert.deepEqual(
        [await holds(kv, [absent(none)]), await holds(kv, [exists(none)]), await holds(kv, [exists(key)]), await holds(kv, [absent(key)])],
        [true, false, true, false],
      );
      assert.deepEqual(
        [
          await holds(kv, [{ key: none, target: "value", is: "=", value: "" }]),
          await holds(kv, [{ key: none, target: "value", is: "!=", value: "x" }]),
        ],
        [false, false],
      );
      assert.deepEqual(
        [
          await holds(kv, [unchanged(key, modified), sameIncarnation(key, created)]),
          await holds(kv, [unchanged(key, modified), absent(key)]),
        ],
        [true, false],
      );
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
        then: [
          put(`${prefix}n`, "4"),
          { op: "get", key: `${prefix}n` },
          { op: "delete", key: `${prefix}x` },
          { op: "deleteRange", key: `${prefix}r`, end: `${prefix}s` },
          { op: "delete", key: `${prefix}nothing` },
        ],
        else: [{ op: "get", key: `${prefix}x` }],
      });
      assert.deepEqual([done.succeeded, done.revision], [true, before + 1]);
      const [first, second, ...rest] = done.results;
      assert.deepEqual(
        [first, rest],
        [
          { op: "put" },
          [
            { op: "delete", deleted: 1 },
            { op: "deleteRange", deleted: 2 },
            { op: "delete", deleted: 0 },
          ],
        ],
      );
      assert.deepEqual(second?.op === "get" && [second.kv?.value, second.kv?.modRevision], ["4", before + 1]);
      const failed = await kv.txn({
        if: [exists(`${prefix}x`)],
        then: [put(`${prefix}n`, "5")],
        else: [
          { op: "get", key: `${prefix}n` },
          { op: "get", key: `${prefix}x` },
        ],
      });
      assert.deepEqual(
        [failed.succeeded, failed.results.map((result) => result.op === "get" && result.kv?.value)],
        [false, ["4", undefined]],
      );
      assert.deepEqual((await kv.txn({ if: [exists(`${prefix}x`)], then: [] })).results, []);
      assert.deepEqual(
        (await kv.range(prefixRange(prefix))).kvs.map((kv) => kv.modRevision),
        [before + 1],
      );
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
      await assert.rejects(
        kv.txn({ then: [put(`${prefix}a`, "1"), { op: "deleteRange", key: prefix, end: `${prefix}z` }] }),
        failsWith("etcd/refused"),
      );
      assert.equal((await kv.range(prefixRange(prefix))).count, 0);
      assert.equal((await kv.txn({ then: many.slice(1) })).succeeded, true);
    },
  },
  {
    name: "txn: of many create-if-absent at once exactly one succeeds",
    async run({ kv, prefix }) {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => kv.txn({ if: [absent(`${prefix}a`)], then: [put(`${prefix}a`, String(i))] })),
      );
      assert.equal(results.filter((result) => result.succeeded).length, 1);
    },
  },
];
