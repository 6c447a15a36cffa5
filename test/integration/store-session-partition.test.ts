/** Session, lock and election on a real etcd behind a proxy that partitions: who may believe what, and when. */
import test, { type ExecutionContext } from "ava";
import { type Election, openElection } from "fleetcron-shared/store/election";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { acquireLock } from "fleetcron-shared/store/lock";
import { openSession, type Session } from "fleetcron-shared/store/session";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { compact, startFaultyEtcd, storeDeps, until } from "../support/store-bench.ts";

const TTL_MS = 2000;

test.serial("an outage shorter than trust changes nothing", async (t) => {
  await using s = await startFaultyEtcd({ callTimeoutMs: 500 });
  const session = openSession({ ...storeDeps, kv: s.through }, { ttlMs: 5000 });
  const first = await session.trusted();
  const renewedAfter = first.trustedUntil();
  s.proxy.cut();
  await until("half of the trust is gone", () => first.trustedUntil() - storeDeps.clock.mono() < 2000);
  s.proxy.open();
  await until("renewed", () => first.trustedUntil() > renewedAfter + 1000);
  t.is(session.current(), first);
  await session.close();
});

for (const fault of ["cut", "blackhole"] as const) {
  test.serial(`${fault}: trust ends before etcd drops the lease; a new lease follows soon after the end of the fault`, async (t) => {
    await using s = await startFaultyEtcd({ callTimeoutMs: 500 });
    const session = openSession({ ...storeDeps, kv: s.through }, { ttlMs: TTL_MS });
    const first = await session.trusted();
    const lock = await acquireLock(s.through, { key: "/lock", value: "a", lease: first.lease });
    t.true(lock.acquired);
    let endedAt: number | undefined;
    let droppedAt: number | undefined;
    first.ended.addEventListener("abort", () => {
      endedAt = performance.now();
    });
    const { revision } = await s.writer.range({ start: "/", end: "0" });
    s.writer.watch(
      { start: "/lock", end: "/lock0", fromRevision: revision + 1 },
      {
        onEvents(events) {
          if (events.some((event) => event.type === "delete")) droppedAt ??= performance.now();
        },
        onEnd() {},
      },
    );
    s.proxy[fault]();
    await until("the lease is dropped", () => droppedAt !== undefined);
    t.true(endedAt !== undefined && droppedAt !== undefined && endedAt < droppedAt, `trust ended at ${endedAt}, the lease at ${droppedAt}`);
    t.is(session.current(), undefined);
    s.proxy.open();
    const tookMs = await until("trusted again", () => session.current() !== undefined);
    t.true(tookMs < 4000, `${tookMs} ms`);
    t.is(session.current()?.epoch, 2);
    await session.close();
  });
}

type Candidate = { election: Election; session: Session; close(): Promise<void> };

function candidate(endpoint: string, value: string): Candidate {
  const kv = openEtcdKv({ endpoints: [endpoint], callTimeoutMs: 500 }, storeDeps);
  const deps = { ...storeDeps, kv };
  const session = openSession(deps, { ttlMs: TTL_MS });
  const election = openElection(deps, { key: "/leader", value, session });
  const close = async () => {
    await election.close();
    await session.close();
    await kv.close();
  };
  return { election, session, close };
}

/** Samples both candidates densely until `condition`, and fails when both believe at one instant. */
async function neverTwo(t: ExecutionContext, all: readonly Candidate[], what: string, condition: () => boolean): Promise<void> {
  await until(what, () => {
    const leaders = all.filter(({ election }) => election.term() !== undefined);
    if (leaders.length > 1) t.fail("two leaders at once");
    return condition();
  });
}

test.serial("election: fail-over of a leader that is cut off, of one that resigns, and after compaction; never two", async (t) => {
  await using s = await startFaultyEtcd({ callTimeoutMs: 500 });
  await using direct = await startFaultProxy(s.etcd.port);
  const a = candidate(s.proxy.endpoint, "a");
  await until("a leads", () => a.election.term() !== undefined);
  const b = candidate(direct.endpoint, "b");
  const both = [a, b];
  await until("b knows", () => b.election.holder()?.value === "a");

  const old = a.election.term();
  s.proxy.cut();
  await neverTwo(t, both, "b takes over", () => b.election.term() !== undefined);
  s.proxy.open();
  await neverTwo(t, both, "a is back as a candidate", () => a.session.current() !== undefined && a.election.holder()?.value === "b");
  t.true(old?.ended.aborted);
  t.true((b.election.term()?.revision ?? 0) > (old?.revision ?? 0));
  if (old)
    t.false(
      (await s.writer.txn({ if: [old.guard], then: [{ op: "put", key: "/x", value: "late" }] })).succeeded,
      "a late write of the old term is refused",
    );

  s.proxy.blackhole();
  await b.election.resign();
  await neverTwo(t, both, "b leads again, as nobody else is there", () => b.election.term() !== undefined);
  s.proxy.cut();
  await s.put("/x", "1");
  await b.close();
  await compact(s.etcd, await s.put("/x", "2"));
  s.proxy.open();
  await until("a leads, although what it waited for is compacted away", () => a.election.term() !== undefined);
  await a.close();
});

test.serial("etcd killed and started again within the trust: the session and the term go on", async (t) => {
  await using s = await startFaultyEtcd({ callTimeoutMs: 500 });
  const deps = { ...storeDeps, kv: s.through };
  const session = openSession(deps, { ttlMs: 5000 });
  const election = openElection(deps, { key: "/leader", value: "a", session });
  await until("it leads", () => election.term() !== undefined);
  const term = election.term();
  const incarnation = session.current();
  await s.etcd.kill();
  await s.etcd.restart();
  const before = incarnation?.trustedUntil() ?? 0;
  await until("renewed", () => (incarnation?.trustedUntil() ?? 0) > before);
  t.is(election.term(), term);
  await election.close();
  await session.close();
});
