import test from "ava";
import { createIdSource } from "fleetcron-shared/base/ids";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { prefixRange } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { decode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import { ClaimLeases } from "../report/claim-leases.ts";
import { type ClusterRangeDeps, tellClusterRange } from "./cluster-range.ts";

const EVERY_MS = 10_000;
const instants = {
  nextAfter: (ms: number) => Math.floor(ms / EVERY_MS) * EVERY_MS + EVERY_MS,
  lastAtOrBefore: (ms: number) => Math.floor(ms / EVERY_MS) * EVERY_MS,
};
const keys = createKeys();

function setUp() {
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const kv = store.connect();
  const at = new Date(clock.now() - 86_400_000).toISOString();
  const job = compileJob(
    { group: "g", id: "j", revision: 1, createdAt: at, updatedAt: at, submittedAt: at },
    {
      kind: "interval",
      misfireWindow: "10m",
      run: { command: { argv: ["true"] } },
      rules: [{ id: "r1", mode: "cycle", timer: "*/10 * * * * *" }],
    },
  );
  const nodeOf = (nodeId: string) => {
    const own = store.connect();
    const deps = {
      ...{ kv: own, clock, keys, nodeId, newId: createIdSource({ clock, random: systemRandom }) },
      ...{ host: { nodeId, hostname: nodeId }, leases: new ClaimLeases({ kv: own, clock }) },
    } as unknown as ClusterRangeDeps;
    const tell = (firstMs: number, lastMs: number) =>
      tellClusterRange(deps, {
        ...{ job, ruleId: "r1", instants, outcome: { type: "skipped", reason: "misfireSkip" } },
        range: { firstMs, lastMs, count: (lastMs - firstMs) / EVERY_MS + 1 },
      });
    return { tell, kv: own };
  };
  /** How often each tick was told of. */
  const told = async () => {
    const counts = new Map<number, number>();
    for (const entry of (await kv.range(prefixRange(keys.inbox))).kvs) {
      const record = decode<ExecutionRecord>(entry.key, entry.value);
      const lastMs = Date.parse(record.dueUntil ?? record.dueAt ?? "");
      for (let ms = Date.parse(record.dueAt ?? ""); ms <= lastMs; ms += EVERY_MS) counts.set(ms, (counts.get(ms) ?? 0) + 1);
    }
    return counts;
  };
  const nowMs = instants.lastAtOrBefore(clock.now());
  return { clock, kv, nodeOf, told, tick: (before: number) => nowMs - before * EVERY_MS };
}

test("ranges of several nodes that overlap are told once, whoever comes first", async (t) => {
  const { nodeOf, told, tick } = setUp();
  await Promise.all([nodeOf("n1").tell(tick(30), tick(10)), nodeOf("n2").tell(tick(20), tick(5)), nodeOf("n3").tell(tick(40), tick(2))]);
  const counts = await told();
  t.is(counts.size, 39);
  t.deepEqual(new Set(counts.values()), new Set([1]));
});

test("what is claimed is left to whoever has claimed it", async (t) => {
  const { kv, nodeOf, told, tick } = setUp();
  for (const before of [30, 10, 7]) await kv.txn({ then: [{ op: "put", key: keys.claim("g", "j", "r1", tick(before)), value: "{}" }] });
  await nodeOf("n1").tell(tick(30), tick(7));
  const counts = await told();
  t.is(counts.size, 21);
  for (const before of [30, 10, 7]) t.false(counts.has(tick(before)));
});

test("whoever holds a tick still finds it claimed, with its verdict", async (t) => {
  const { kv, nodeOf, tick } = setUp();
  await nodeOf("n1").tell(tick(30), tick(10));
  for (let before = 10; before <= 30; before++) {
    const claim = await kv.get(keys.claim("g", "j", "r1", tick(before)));
    t.like(JSON.parse(claim?.value ?? "{}"), { node: "n1", verdict: "skipped:misfireSkip" });
  }
});

test("of ticks whose claims may be gone by now nothing is said", async (t) => {
  const { nodeOf, told, tick } = setUp();
  await nodeOf("n1").tell(tick(8640), tick(80));
  const counts = await told();
  t.true(counts.has(tick(80)));
  t.is(Math.min(...counts.keys()) >= tick(91), true);
});

test("a lost answer does not tell a range again", async (t) => {
  const { nodeOf, told, tick } = setUp();
  const { tell, kv } = nodeOf("n1");
  await kv.grantLease(1000);
  await tell(tick(3), tick(2));
  kv.loseNextAnswer();
  await t.throwsAsync(tell(tick(30), tick(10)));
  await tell(tick(30), tick(10));
  t.deepEqual(new Set((await told()).values()), new Set([1]));
});
