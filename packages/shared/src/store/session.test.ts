import test from "ava";
import { isCode } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { createManualClock } from "../base/manual-clock.ts";
import type { Kv } from "./kv.ts";
import { createMemoryStore } from "./memory-kv.ts";
import { type Incarnation, openSession } from "./session.ts";

/** TTL 10 s, margin 2 s: renewed every 3.33 s, trusted for 8 s after each. */
function setup(wrap: (kv: Kv) => Kv = (kv) => kv) {
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const connection = store.connect();
  const session = openSession({ kv: wrap(connection), clock, random: { next: () => 0.5 }, log: silentLog }, { ttlMs: 10_000 });
  const changes: (number | undefined)[] = [];
  session.onChange((current: Incarnation | undefined) => changes.push(current?.epoch));
  return { clock, store, connection, session, changes };
}

test("trust begins with the grant and is renewed for as long as etcd answers", async (t) => {
  const { clock, session, changes } = setup();
  const renewals: number[] = [];
  session.onRenewed((until) => renewals.push(until - clock.mono()));
  const first = await session.trusted();
  t.is(first.trustedUntil() - clock.mono(), 8000);
  await clock.advance(60_000);
  t.is(session.current(), first);
  t.deepEqual(changes, [1]);
  t.true(renewals.length >= 17 && renewals.every((left) => Math.round(left) === 8000), String(renewals));
  await session.close();
});

test("trust counts from the start of the request, not from its answer", async (t) => {
  const { clock, connection, session } = setup();
  const first = await session.trusted();
  connection.setDelay(1000);
  let left: number | undefined;
  session.onRenewed((until) => {
    left = until - clock.mono();
  });
  await clock.advance(4400);
  t.is(Math.round(left ?? 0), 7000);
  t.is(session.current(), first);
  connection.setDelay(0);
  await session.close();
});

test("a renewal by hand gives the whole time again, and waits for nobody", async (t) => {
  const { clock, connection, session } = setup();
  const first = await session.trusted();
  await clock.advance(3000);
  t.is(Math.round(first.trustedUntil() - clock.mono()), 5000);
  await session.renew();
  t.is(Math.round(first.trustedUntil() - clock.mono()), 8000);
  connection.setDelay(60_000);
  const hanging = session.renew();
  await clock.advance(2000);
  await hanging;
  connection.setDelay(0);
  await session.close();
});

test("one lost keep-alive, and an outage shorter than trust, change nothing", async (t) => {
  const { clock, connection, session, changes } = setup();
  const first = await session.trusted();
  await clock.advance(3000);
  connection.disconnect();
  await clock.advance(4500);
  t.is(session.current(), first);
  connection.reconnect();
  await clock.advance(1000);
  t.true(first.trustedUntil() - clock.mono() > 6000);
  await clock.advance(30_000);
  t.deepEqual(changes, [1]);
  await session.close();
});

test("a keep-alive that hangs is followed by another one while trust lasts", async (t) => {
  let calls = 0;
  const { clock, session, changes } = setup((kv) => ({
    ...kv,
    keepAlive(lease) {
      calls += 1;
      return calls === 2 ? new Promise(() => {}) : kv.keepAlive(lease);
    },
  }));
  await session.trusted();
  await clock.advance(30_000);
  t.deepEqual(changes, [1]);
  t.true(calls > 5);
  await session.close();
});

test("trust ends before the lease does, the old lease is never used again, a new one follows", async (t) => {
  const { clock, store, connection, session, changes } = setup();
  const first = await session.trusted();
  const observer = store.connect();
  await observer.txn({ then: [{ op: "put", key: "/alive", value: "1", lease: first.lease }] });
  connection.disconnect();
  await clock.advance(7999);
  t.is(session.current(), first);
  t.false(first.ended.aborted);
  await clock.advance(1);
  t.is(session.current(), undefined);
  t.true(first.ended.aborted);
  t.truthy(await observer.get("/alive"), "the lease outlives trust");
  connection.reconnect();
  const second = await Promise.race([session.trusted(), clock.advance(1900).then(() => undefined)]);
  t.is(second?.epoch, 2);
  t.not(second?.lease, first.lease);
  t.truthy(await observer.get("/alive"), "the old lease is left to expire, not revoked");
  await clock.advance(2100);
  t.is(await observer.get("/alive"), undefined);
  t.deepEqual(changes, [1, undefined, 2]);
  await session.close();
});

test("a stalled process does not trust, although no timer has run and a late answer comes", async (t) => {
  const { clock, session, changes } = setup();
  const first = await session.trusted();
  clock.stall(8000);
  t.is(session.current(), undefined);
  t.true(first.ended.aborted);
  t.deepEqual(changes, [1, undefined]);
  await session.close();
});

test("an answer that comes after the end of trust revives nothing", async (t) => {
  const answer = Promise.withResolvers<void>();
  const { clock, session } = setup((kv) => ({
    ...kv,
    async keepAlive(lease) {
      const result = await kv.keepAlive(lease);
      await answer.promise;
      return result;
    },
  }));
  const first = await session.trusted();
  const until = first.trustedUntil();
  session.onRenewed(() => t.fail("renewed after the end"));
  await clock.advance(8000);
  t.true(first.ended.aborted);
  answer.resolve();
  await clock.advance(500);
  t.not(session.current(), first);
  t.is(first.trustedUntil(), until);
  await session.close();
});

test("a lease that is gone ends trust at once", async (t) => {
  const { clock, store, session, changes } = setup();
  const first = await session.trusted();
  store.expireLease(first.lease);
  await clock.advance(3400);
  t.true(first.ended.aborted);
  t.is(session.current()?.epoch, 2);
  t.deepEqual(changes, [1, undefined, 2]);
  await session.close();
});

test("a wiped store: a new lease", async (t) => {
  const { clock, store, session } = setup();
  await session.trusted();
  store.reset();
  await clock.advance(4000);
  t.is(session.current()?.epoch, 2);
  await session.close();
});

test("opened while etcd is away, it waits; the wall clock does not matter", async (t) => {
  const { clock, connection, session } = setup();
  connection.disconnect();
  await clock.advance(60_000);
  t.is(session.current(), undefined);
  connection.reconnect();
  await clock.advance(3000);
  const current = session.current();
  t.truthy(current);
  clock.stepWall(3_600_000);
  await clock.advance(1000);
  clock.stepWall(-7_200_000);
  await clock.advance(20_000);
  t.is(session.current(), current);
  await session.close();
});

test("close ends trust first, revokes the lease, and leaves no timer", async (t) => {
  const { clock, store, session } = setup();
  const first = await session.trusted();
  const observer = store.connect();
  await observer.txn({ then: [{ op: "put", key: "/alive", value: "1", lease: first.lease }] });
  await session.close();
  t.true(first.ended.aborted);
  t.is(session.current(), undefined);
  t.is(await observer.get("/alive"), undefined);
  t.is(clock.timers, 0);
  const error = await t.throwsAsync(session.trusted());
  t.true(isCode(error, "etcd/closed"));
});

test("waiting for trust can be given up", async (t) => {
  const { connection, session } = setup();
  connection.disconnect();
  const giveUp = new AbortController();
  const waiting = t.throwsAsync(session.trusted(giveUp.signal), { message: "enough" });
  giveUp.abort(new Error("enough"));
  await waiting;
  const closed = t.throwsAsync(session.trusted(), { message: /closed/ });
  await session.close();
  await closed;
});

test("a listener that throws harms nobody", async (t) => {
  const { clock, session } = setup();
  session.onChange(() => {
    throw new Error("listener");
  });
  await session.trusted();
  await clock.advance(20_000);
  t.truthy(session.current());
  await session.close();
});

test("etcd was restored from a backup, the lease with it: trust ends, and the lease is revoked when its holder has had time to stop", async (t) => {
  const replaced: (() => void)[] = [];
  const revoked: string[] = [];
  const { clock, session, changes } = setup((kv) => ({
    ...kv,
    onReplaced(fn) {
      replaced.push(fn);
      return () => {};
    },
    async revokeLease(lease) {
      revoked.push(lease);
    },
  }));
  const first = await session.trusted();
  for (const fn of replaced) fn();
  t.true(first.ended.aborted);
  await clock.advance(1500);
  const second = await session.trusted();
  t.not(second.lease, first.lease);
  t.deepEqual(revoked, []);
  await clock.advance(1000);
  t.deepEqual(revoked, [first.lease]);
  t.deepEqual(changes, [1, undefined, 2]);
  t.is(session.current(), second);
  await session.close();
});
