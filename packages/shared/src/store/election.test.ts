import test from "ava";
import { silentLog } from "../base/log.ts";
import { createManualClock } from "../base/manual-clock.ts";
import { openElection } from "./election.ts";
import { createMemoryStore } from "./memory-kv.ts";
import { openSession } from "./session.ts";

function setup() {
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const random = { next: () => 0.5 };
  function candidate(value: string) {
    const kv = store.connect();
    const deps = { kv, clock, random, log: silentLog };
    const session = openSession(deps, { ttlMs: 5000 });
    const election = openElection(deps, { key: "/leader", value, session });
    const terms: (number | undefined)[] = [];
    election.onChange((term) => terms.push(term?.revision));
    const close = async () => {
      await election.close();
      await session.close();
    };
    return { kv, session, election, terms, close };
  }
  return { clock, store, candidate };
}

test("one of three leads; when it resigns another one does", async (t) => {
  const { clock, candidate } = setup();
  const all = ["a", "b", "c"].map(candidate);
  await clock.advance(100);
  const leaders = () => all.filter(({ election }) => election.term());
  t.is(leaders().length, 1);
  const [first] = leaders();
  const term = first?.election.term();
  t.true(all.every(({ election }) => election.holder()?.createRevision === term?.revision));
  await first?.election.resign();
  t.true(term?.ended.aborted);
  t.false(term?.trusted());
  await clock.advance(500);
  t.is(leaders().length, 1);
  t.not(leaders()[0], first);
  t.true((leaders()[0]?.election.term()?.revision ?? 0) > (term?.revision ?? 0));
  for (const each of all) await each.close();
  t.is(clock.timers, 0);
});

test("a leader that is cut off stops before the other begins; its late writes are refused", async (t) => {
  const { clock, candidate } = setup();
  const a = candidate("a");
  await clock.advance(100);
  const b = candidate("b");
  await clock.advance(100);
  const old = a.election.term();
  t.truthy(old);
  a.kv.disconnect();
  for (let ms = 0; ms < 8000 && !b.election.term(); ms += 50) {
    await clock.advance(50);
    t.false(a.election.term() !== undefined && b.election.term() !== undefined, "two leaders");
  }
  t.truthy(b.election.term());
  t.true(old?.ended.aborted);
  a.kv.reconnect();
  if (old) t.false((await a.kv.txn({ if: [old.guard], then: [{ op: "put", key: "/x", value: "late" }] })).succeeded);
  await a.close();
  await b.close();
});

test("a stalled leader does not believe", async (t) => {
  const { clock, candidate } = setup();
  const a = candidate("a");
  await clock.advance(100);
  const term = a.election.term();
  clock.stall(4000);
  t.false(term?.trusted());
  t.is(a.election.term(), undefined);
  await a.close();
});

test("the key taken away by hand ends the term", async (t) => {
  const { clock, store, candidate } = setup();
  const a = candidate("a");
  await clock.advance(100);
  const term = a.election.term();
  await store.connect().txn({ then: [{ op: "delete", key: "/leader" }] });
  await clock.advance(50);
  t.true(term?.ended.aborted);
  await clock.advance(500);
  t.true((a.election.term()?.revision ?? 0) > (term?.revision ?? 0), "and a new one begins");
  await a.close();
});

test("compaction while a candidate is cut off does not leave it waiting for ever", async (t) => {
  const { clock, store, candidate } = setup();
  const a = candidate("a");
  await clock.advance(100);
  const b = candidate("b");
  await clock.advance(100);
  b.kv.disconnect();
  await a.close();
  await store.connect().txn({ then: [{ op: "put", key: "/other", value: "1" }] });
  store.compact();
  b.kv.reconnect();
  await clock.advance(5000);
  t.truthy(b.election.term());
  await b.close();
});

test("a lost answer to the campaign is recognised as a win", async (t) => {
  const { clock, candidate } = setup();
  const a = candidate("a");
  await a.session.trusted();
  a.kv.loseNextAnswer();
  await clock.advance(200);
  t.is(a.election.term()?.revision, (await a.kv.get("/leader"))?.createRevision);
  await a.close();
});

test("its own other keys under the same prefix are not the leader key", async (t) => {
  const { clock, store, candidate } = setup();
  const a = candidate("a");
  await clock.advance(100);
  const term = a.election.term();
  const other = store.connect();
  await other.txn({ then: [{ op: "put", key: "/leader-x", value: "1" }] });
  await other.txn({ then: [{ op: "delete", key: "/leader-x" }] });
  await clock.advance(500);
  t.is(a.election.term(), term);
  t.deepEqual(a.terms, [term?.revision]);
  await a.close();
});
