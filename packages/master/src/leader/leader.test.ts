import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { createIdSource, firstIdAt } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { JobSpec, StoredJob } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { exists, prefixRange } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { createOrderLease } from "../ops/order-lease.ts";
import { openViews } from "../views.ts";
import { createTargetIndex } from "./desired.ts";
import { diffJob, packBatches } from "./dispatch-diff.ts";
import { deleteBefore, startJanitor } from "./janitor.ts";
import { lostAttempt, mayBePruned } from "./lost.ts";
import { countRecord, NO_STATS, uncountProvisional } from "./stats.ts";

const keys = createKeys();
const NOW = "2026-01-01T00:00:00.000Z";
const stored = (id: string, spec: Partial<JobSpec>): StoredJob => ({
  ...{ v: 1, group: "g", id, createdAt: NOW, updatedAt: NOW, submittedAt: NOW },
  spec: { run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "@hourly" }], ...spec },
});
const entryOf = (id: string, spec: Partial<JobSpec>, revision = 5) => {
  const value = stored(id, spec);
  return { stored: value, job: compileJob({ ...value, revision }, value.spec) };
};
const record = (more: Partial<ExecutionRecord>) =>
  ({
    id: "e-1",
    attempt: 1,
    finalAttempt: true,
    nodeId: "a",
    endTime: NOW,
    durationMs: 8,
    success: true,
    outcome: { type: "exit", code: 0 },
    ...more,
  }) as ExecutionRecord;

test("a node's change touches exactly the jobs whose targets see it", (t) => {
  const index = createTargetIndex();
  index.putJob(entryOf("all", {}).job);
  index.putJob(
    entryOf("db", { kind: "interval", rules: [{ mode: "onlyonce", target: { labels: { role: "db" } } }, { mode: "manyonce" }] }).job,
  );
  t.deepEqual([...index.putNode("b", { id: "b", labels: {} })].sort(), ["g/all", "g/db"]);
  t.deepEqual([...index.putNode("a", { id: "a", labels: {} })].sort(), ["g/all", "g/db"]);
  t.deepEqual([...index.putNode("a", { id: "a", labels: { role: "db" } })], ["g/db"]);
  t.deepEqual(index.desired("g/all"), [{ rules: '{"r1":[]}', nodes: ["a", "b"] }]);
  t.deepEqual(
    index.desired("g/db").toSorted((x, y) => (x.rules < y.rules ? -1 : 1)),
    [
      { rules: '{"r1":["a"],"r2":["a","b"]}', nodes: ["a"] },
      { rules: '{"r2":["a","b"]}', nodes: ["b"] },
    ],
  );
  index.removeJob("g/db");
  t.deepEqual([...index.putNode("a", undefined)], ["g/all"]);
});

test("a diff writes what differs and nothing else, and batches fit a transaction", (t) => {
  const entry = entryOf("x", {});
  const ref = { group: "g", id: "x" };
  const same = { revision: 5, rules: '{"r1":[]}' };
  const desired = [{ rules: '{"r1":[]}', nodes: ["a", "b", "c"] }];
  t.is(
    diffJob(
      keys,
      ref,
      entry,
      desired,
      new Map([
        ["a", same],
        ["b", same],
        ["c", same],
      ]),
    ),
    undefined,
  );
  const diff = diffJob(
    keys,
    ref,
    entry,
    desired,
    new Map([
      ["a", same],
      ["b", { ...same, revision: 4 }],
      ["z", same],
    ]),
  );
  t.deepEqual(
    diff?.ops.map((op) => `${op.op} ${op.key}`),
    ["put /fleetcron/dispatch/b/g/x", "put /fleetcron/dispatch/c/g/x", "delete /fleetcron/dispatch/z/g/x"],
  );
  t.deepEqual(diffJob(keys, ref, undefined, [], new Map([["a", same]]))?.condition, {
    key: "/fleetcron/jobs/g/x",
    target: "createRevision",
    is: "=",
    value: 0,
  });
  const big = diffJob(keys, ref, entry, [{ rules: "{}", nodes: Array.from({ length: 300 }, (_, n) => `n${n}`) }], undefined);
  t.deepEqual(
    packBatches([["g/x", big!]]).map((batch) => batch.then.length),
    [128, 128, 44],
  );
});

test("statistics: streak, average, skips, and a verdict taken back", (t) => {
  let stats = countRecord(countRecord(NO_STATS, record({})), record({ id: "f-1", durationMs: 16 }));
  t.like(stats, { successCount: 2, streak: 2, avgTimeMs: 12 });
  stats = countRecord(stats, record({ id: "g-1", success: false, finalAttempt: false, outcome: { type: "exit", code: 1 } }));
  t.like(stats, { failureCount: 1, streak: 2 });
  stats = countRecord(stats, record({ id: "h-1", success: false, outcome: { type: "skipped", reason: "overlap" }, dueCount: 3 }));
  t.like(stats, { skippedCount: 3, streak: 2 });
  const lost = record({ id: "i-1", success: false, outcome: { type: "lost", why: "nodeGone" }, endTime: "2026-01-02T00:00:00.000Z" });
  t.like(countRecord(stats, lost), { lostCount: 1, streak: -1, last: { record: "i-1" } });
  const back = countRecord(uncountProvisional(countRecord(stats, lost), lost), record({ id: "i-1" }));
  t.like(back, { lostCount: 0, successCount: 3, streak: 1, last: { record: "i-1", success: true } });
  t.is(countRecord(countRecord(stats, lost), record({ id: "old-1" })).last?.record, "i-1", "a late delivery hides no newer result");
});

test("which attempt is lost", (t) => {
  t.is(lostAttempt({ attempt: 1 }, []), 1);
  t.is(lostAttempt({ attempt: 1 }, [{ attempt: 1, final: false }]), 2);
  t.is(lostAttempt({ attempt: 2 }, [{ attempt: 1, final: false }]), 2);
  t.is(lostAttempt({ attempt: 1 }, [{ attempt: 1, final: true }]), undefined);
  t.true(mayBePruned("x", 100, { count: 100, ageMs: 0 }, 0));
  t.false(mayBePruned("x", 99, { count: 100, ageMs: 0 }, 0));
});

test("what retention deletes", (t) => {
  t.is(deleteBefore(["c", "b"], { count: 2, ageMs: 0 }, 0), undefined);
  t.is(deleteBefore(["c", "b", "a"], { count: 2, ageMs: 0 }, 0), "b");
  t.is(deleteBefore([firstIdAt(500), firstIdAt(100)], { count: 9, ageMs: 100 }, 400), firstIdAt(300));
});

test("the janitor keeps what jobs retain, clears what deleted jobs left, and writes only under its term", async (t) => {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  const put = (key: string, value: object) => kv.txn({ then: [{ op: "put", key, value: JSON.stringify(value) }] });
  const newId = createIdSource({ clock: systemClock, random: systemRandom });
  await put(keys.leader, { v: 1 });
  await put(keys.job("g", "x"), stored("x", { retain: { count: 3 } }));
  for (let n = 0; n < 10; n++) await put(keys.record("g", "x", `${newId()}-1`), { v: 1 });
  await put(keys.record("g", "gone", `${firstIdAt(systemClock.now() - 30 * 86_400_000)}-1`), { v: 1 });
  await put(keys.stats("g", "gone"), NO_STATS);
  const deps = { kv, keys, clock: systemClock, random: systemRandom, log: silentLog };
  const views = openViews(deps);
  await views.synced;
  const term = { revision: 1, guard: exists(keys.leader), ended: new AbortController().signal, trusted: () => true };
  const janitor = startJanitor(
    { ...deps, newId, views, orderLease: createOrderLease(deps), passPoint: () => {}, term },
    { everyMs: 5, busyJobsAPass: 10, otherJobsAPass: 10 },
  );
  const left = async () => {
    const [x, gone] = await Promise.all([
      kv.range(prefixRange(keys.recordsOf("g", "x"))),
      kv.range(prefixRange(keys.recordsOf("g", "gone"))),
    ]);
    return `${x.count} ${gone.count} ${(await kv.get(keys.stats("g", "gone"))) === undefined}`;
  };
  for (let tries = 0; tries < 500 && (await left()) !== "3 0 true"; tries++) await systemClock.sleep(5);
  t.is(await left(), "3 0 true");
  await kv.txn({ then: [{ op: "delete", key: keys.leader }] });
  for (let n = 0; n < 5; n++) await put(keys.record("g", "x", `${newId()}-1`), { v: 1 });
  await systemClock.sleep(30);
  t.is(await left(), "8 0 true", "a deposed janitor deletes nothing");
  await janitor.stop();
  await views.close();
});
