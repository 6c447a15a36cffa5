/** Three members: the leader killed, a member frozen, a member without quorum; calls and watches move on to the others. */
import test, { type ExecutionContext } from "ava";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import type { Kv } from "fleetcron-shared/store/kv";
import { openSession } from "fleetcron-shared/store/session";
import { type EtcdCluster, startEtcdCluster } from "../support/etcd.ts";
import { observe, storeDeps, until } from "../support/store-bench.ts";

/** Writes and reads without pause; knows what was acknowledged and how long the slowest call took. */
function startLoad(kv: Kv, prefix: string) {
  let stop = false;
  let slowestMs = 0;
  const acknowledged = new Map<string, string>();
  const failures: string[] = [];
  const timed = async (call: Promise<unknown>) => {
    const startedAt = performance.now();
    try {
      await call;
      return true;
    } catch (error) {
      failures.push(String((error as { code?: string }).code));
      return false;
    } finally {
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    }
  };
  const workers = Array.from({ length: 4 }, async (_, w) => {
    for (let i = 0; !stop; i++) {
      const key = `${prefix}${w}-${i}`;
      if (await timed(kv.txn({ then: [{ op: "put", key, value: String(i) }] }))) acknowledged.set(key, String(i));
      await timed(kv.get(key));
    }
  });
  return {
    acknowledged,
    failures,
    slowestMs: () => slowestMs,
    async finish() {
      stop = true;
      await Promise.all(workers);
    },
  };
}

async function underFault(
  t: ExecutionContext,
  cluster: EtcdCluster,
  prefix: string,
  endpoints: readonly string[],
  fault: () => Promise<void>,
  heal: () => Promise<void>,
): Promise<void> {
  const kv = openEtcdKv({ endpoints }, storeDeps);
  const truth = openEtcdKv({ endpoints: cluster.endpoints, callTimeoutMs: 5000 }, storeDeps);
  const session = openSession({ ...storeDeps, kv }, { ttlMs: 5000 });
  const incarnation = await session.trusted();
  const seen = observe(kv, prefix);
  await seen.mirror.synced;
  const load = startLoad(kv, prefix);
  const more = (count: number) => {
    const target = load.acknowledged.size + count;
    return until(`${count} more writes acknowledged (${load.failures.slice(-3)})`, () => load.acknowledged.size >= target);
  };
  await more(50);
  await fault();
  const pauseMs = await more(50);
  const watchedAfter = seen.mirror.revision();
  const watchPauseMs = await until("the watch goes on", () => seen.mirror.live() && seen.mirror.revision() > watchedAfter);
  await heal();
  await more(50);
  await load.finish();
  await seen.mirror.reached((await truth.range({ start: prefix, end: `${prefix}~`, countOnly: true })).revision);
  t.log(
    `slowest call ${Math.round(load.slowestMs())} ms, writes again after ${Math.round(pauseMs)} ms, watch ${Math.round(watchPauseMs)} ms later, ${load.failures.length} calls failed, lists ${seen.lists()}`,
  );
  t.true(load.slowestMs() < 3000, `slowest call ${load.slowestMs()} ms`);
  t.true(pauseMs < 6000, `writes again after ${pauseMs} ms`);
  t.true(
    load.failures.every((code) => code === "etcd/unreachable" || code === "etcd/unknown-outcome"),
    String(new Set(load.failures)),
  );
  t.deepEqual(seen.faults, []);
  t.true(await seen.agrees(truth));
  for (const [key, value] of load.acknowledged) if (seen.held.get(key)?.value !== value) t.fail(`acknowledged ${key} is lost`);
  t.is(session.current(), incarnation, "the session has survived");
  await session.close();
  await seen.mirror.close();
  await kv.close();
  await truth.close();
}

/** The endpoints with that of `first` in front: it is the one that is asked. */
const startingAt = (cluster: EtcdCluster, first: string) => [first, ...cluster.endpoints.filter((endpoint) => endpoint !== first)];

test.serial("the leader, which we ask, is killed", async (t) => {
  await using cluster = await startEtcdCluster(3);
  const leader = await cluster.leader();
  await underFault(t, cluster, "/a/", startingAt(cluster, leader.endpoint), leader.kill, () => leader.restart());
});

test.serial("the leader is killed while we ask another member", async (t) => {
  await using cluster = await startEtcdCluster(3);
  const leader = await cluster.leader();
  const other = cluster.members.find((member) => member !== leader);
  await underFault(t, cluster, "/b/", startingAt(cluster, other?.endpoint ?? ""), leader.kill, () => leader.restart());
});

test.serial("the member that we ask is frozen", async (t) => {
  await using cluster = await startEtcdCluster(3);
  const leader = await cluster.leader();
  await underFault(
    t,
    cluster,
    "/c/",
    startingAt(cluster, leader.endpoint),
    async () => leader.pause(),
    async () => leader.resume(),
  );
});

test.serial("two of three are killed: calls fail in time; when they are back, everything goes on", async (t) => {
  await using cluster = await startEtcdCluster(3);
  const kv = openEtcdKv({ endpoints: cluster.endpoints }, storeDeps);
  const seen = observe(kv, "/d/");
  await seen.mirror.synced;
  await until("live", seen.mirror.live);
  const [, second, third] = cluster.members;
  await Promise.all([second?.kill(), third?.kill()]);
  await until("the member without quorum ends its watch", () => !seen.mirror.live());
  const startedAt = performance.now();
  await t.throwsAsync(kv.get("/d/a"));
  t.true(performance.now() - startedAt < 3000);
  await Promise.all([second?.restart(), third?.restart()]);
  await until("writes work", () =>
    kv.txn({ then: [{ op: "put", key: "/d/a", value: "1" }] }).then(
      () => true,
      () => false,
    ),
  );
  await until("the mirror sees them", () => seen.held.has("/d/a"));
  t.is(seen.lists(), 1);
  await seen.mirror.close();
  await kv.close();
});
