import test from "ava";
import { AppError } from "fleetcron-shared/base/errors";
import { spanOf } from "fleetcron-shared/model/missed";
import type { Kv } from "fleetcron-shared/store/kv";
import { type AuditBench, createAuditBench, minute, rangesOf, START, verdictsOf } from "../support/audit-bench.ts";

const MINUTE = 60_000;

async function withBench(run: (bench: AuditBench) => Promise<void>): Promise<void> {
  const bench = await createAuditBench();
  try {
    await run(bench);
  } finally {
    await bench.stop();
  }
}

test("ticks that no node is for are missed, one record for all of them, told once", (t) =>
  withBench(async (bench) => {
    await bench.apply("j", { notify: [{ on: ["missed"], to: ["ops"] }] });
    await bench.apply("i", { kind: "interval" });
    await bench.lead();
    await bench.advance(12 * MINUTE);
    for (const id of ["j", "i"]) {
      t.deepEqual(verdictsOf(await bench.records(id), 1, 9), one(1, 9, "missed:noMatchingNode@-"));
      t.is((await bench.records(id)).length, 1);
    }
    const counts = await Promise.all(["j", "i"].map(async (id) => (await bench.records(id))[0]?.dueCount ?? 0));
    t.like(await bench.stats("j"), { skippedCount: counts[0], last: { outcome: "missed:noMatchingNode" } });
    const notices = await bench.notices();
    t.is(notices.length, 1);
    t.like(notices[0], { events: ["missed"], to: [{ channel: "ops", mention: [] }] });
    t.is(
      bench.seen.reduce((sum, words) => sum + Number(words.split(" ")[2]), 0),
      (counts[0] ?? 0) + (counts[1] ?? 0),
    );
  }));

/** Delivers a run of each minute of [from, to], as it ends. */
async function runs(bench: AuditBench, node: string, job: string, from: number, to: number): Promise<void> {
  for (let at = from; at <= to; at++) {
    await bench.clock.advance(Math.max(0, minute(at) + 1000 - bench.clock.now()));
    await bench.deliver(node, job, minute(at));
  }
}

const one = (from: number, to: number, words: string) => Array.from({ length: to - from + 1 }, (_, at) => `${from + at}: ${words}`);

test("what is reported is left alone; a node that goes is missed from then on, for itself only", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.join("b");
    await bench.apply("j", {});
    await bench.lead();
    for (let at = 1; at <= 5; at++) {
      await runs(bench, "a", "j", at, at);
      await bench.deliver("b", "j", minute(at));
    }
    await bench.leave("b");
    await runs(bench, "a", "j", 6, 14);
    const records = await bench.records("j");
    t.deepEqual(rangesOf(records), ["6-12 (7) missed:nodeOffline@b"]);
    t.deepEqual(verdictsOf(records, 1, 5), one(1, 5, "exit:0@a + exit:0@b"));
    t.deepEqual(verdictsOf(records, 6, 12), one(6, 12, "exit:0@a + missed:nodeOffline@b"));
  }));

for (const kind of ["common", "interval"] as const) {
  test(`${kind}: what a node tells when it is back takes the place of the verdicts, wholly or in part`, (t) =>
    withBench(async (bench) => {
      await bench.join("a");
      await bench.apply("j", { kind, notify: [{ on: ["missed"], to: ["ops"] }] });
      await bench.lead();
      await runs(bench, "a", "j", 1, 2);
      await bench.leave("a");
      await bench.clock.advance(20 * MINUTE);
      const node = kind === "common" ? "a" : "-";
      t.regex(rangesOf(await bench.records("j"))[0] ?? "", new RegExp(`^3-(19|20|21) .* missed:nodeOffline@${node}$`));
      await bench.join("a");
      // It ran one of them, and skips some others.
      await bench.deliver("a", "j", minute(7));
      const range = { dueUntil: new Date(minute(14)).toISOString(), dueCount: 5 };
      await bench.deliver("a", "j", minute(10), { ...range, success: false, outcome: { type: "skipped", reason: "misfireSkip" } });
      await runs(bench, "a", "j", 22, 26);
      const records = await bench.records("j");
      t.deepEqual(rangesOf(records), [
        `3-6 (4) missed:nodeOffline@${node}`,
        `8-9 (2) missed:nodeOffline@${node}`,
        `15-21 (7) missed:nodeOffline@${node}`,
      ]);
      t.like(await bench.stats("j"), { skippedCount: 18, successCount: 8 });
      t.is((await bench.notices()).length, 1);
      // And the rest.
      await bench.deliver("a", "j", minute(3), {
        dueUntil: new Date(minute(21)).toISOString(),
        dueCount: 13,
        success: false,
        outcome: { type: "missed", reason: "misfireWindow" },
      });
      await bench.advance(MINUTE);
      t.deepEqual(rangesOf(await bench.records("j")), []);
      t.like(await bench.stats("j"), { skippedCount: 5 + 13 });
      t.is((await bench.notices()).length, 1, "they were told of before");
    }));
}

test("leaders that come and go tell nothing twice and forget nothing", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.apply("j", { notify: [{ on: ["missed"], to: ["ops"] }] });
    await bench.apply("i", { kind: "interval" });
    await bench.lead();
    await runs(bench, "a", "j", 1, 2);
    await bench.leave("a");
    for (let term = 0; term < 12; term++) {
      await bench.clock.advance(40_000 + term * 7000);
      await bench.die();
      await bench.clock.advance(3000 * term);
      await bench.lead();
    }
    await bench.clock.advance(5 * MINUTE);
    const now = Math.floor((bench.clock.now() - minute(0)) / MINUTE) - 4;
    const records = await bench.records("j");
    t.deepEqual(verdictsOf(records, 3, now), one(3, now, "missed:nodeOffline@a"));
    t.is(rangesOf(records).length, 1);
    t.is((await bench.stats("j"))?.skippedCount, records.find(({ dueCount }) => dueCount !== undefined)?.dueCount);
    t.is((await bench.notices()).length, 1);
    const ofInterval = await bench.records("i");
    t.deepEqual(verdictsOf(ofInterval, 1, now), one(1, now, "missed:nodeOffline@-"));
  }));

test("a leader that is new reads what was filed before it", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    for (const id of ["x", "y"]) await bench.apply(id, { kind: id === "x" ? "common" : "interval" });
    await bench.lead();
    for (let at = 1; at <= 10; at++) {
      await runs(bench, "a", "x", at, at);
      await bench.deliver("a", "y", minute(at));
      await bench.clock.advance(500);
      if (at % 3 === 0) {
        await bench.die();
        await bench.lead();
      }
    }
    await bench.advance(3 * MINUTE);
    for (const id of ["x", "y"]) t.deepEqual(verdictsOf(await bench.records(id), 1, 10), one(1, 10, "exit:0@a"));
    t.deepEqual(
      bench.seen.filter((words) => !words.includes("unknown")),
      [],
    );
  }));

test("a report is filed, and the leader dies before it has looked at it: the next one does", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.apply("j", {});
    await bench.lead();
    await bench.clock.advance(5000);
    await bench.leave("a");
    await bench.clock.advance(10 * MINUTE);
    await bench.deliver("a", "j", minute(4));
    await bench.clock.advance(300);
    t.is((await bench.records("j")).length, 2, "it is filed");
    await bench.die();
    t.deepEqual(verdictsOf(await bench.records("j"), 4, 4), ["4: exit:0@a + missed:nodeOffline@a"]);
    await bench.lead();
    await bench.advance(MINUTE);
    t.deepEqual(verdictsOf(await bench.records("j"), 3, 5), ["3: missed:nodeOffline@a", "4: exit:0@a", "5: missed:nodeOffline@a"]);
  }));

test("what is delivered and waits to be filed is not missed", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.clock.advance(10_000);
    await bench.apply("j", { rules: [{ mode: "cycle", timer: "1 0 * * *" }], notify: [{ on: ["missed"], to: ["ops"] }] });
    const slow = bench.connect();
    await bench.lead(slow);
    await bench.clock.advance(MINUTE + 45_000);
    slow.setDelay(300);
    for (let at = 0; at < 1500; at++) await bench.deliver("a", "others", minute(1));
    await bench.deliver("a", "j", minute(1));
    await bench.clock.advance(30_000);
    t.is((await bench.records("j")).length, 1);
    t.deepEqual(await bench.notices(), []);
    t.deepEqual(bench.seen, []);
  }));

test("a form of a job that was edited while nobody led has its ticks up to the edit", (t) =>
  withBench(async (bench) => {
    await bench.apply("j", {});
    await bench.lead();
    await bench.clock.advance(3 * MINUTE);
    await bench.die();
    await bench.clock.advance(3 * MINUTE + 30_000);
    await bench.apply("j", { rules: [{ mode: "cycle", timer: "*/5 * * * *" }] });
    await bench.clock.advance(2 * MINUTE);
    await bench.lead();
    await bench.clock.advance(4 * MINUTE);
    t.deepEqual(verdictsOf(await bench.records("j"), 1, 10), [
      ...one(1, 6, "missed:noMatchingNode@-"),
      ...["7: ", "8: ", "9: ", "10: missed:noMatchingNode@-"],
    ]);
  }));

for (const after of [5, 25, 45, 65, 85, 105]) {
  test(`a job is paused and its leader dies soon after: ticks that were decided on and not written yet, ${after} s`, (t) =>
    withBench(async (bench) => {
      await bench.apply("j", { rules: [{ mode: "cycle", timer: "*/30 * * * * *" }] });
      await bench.lead();
      await bench.clock.advance(4 * MINUTE + after * 1000);
      const pausedMs = bench.clock.now();
      await bench.apply("j", { rules: [{ mode: "cycle", timer: "*/30 * * * * *" }], pause: true });
      await bench.advance(15_000);
      await bench.die();
      await bench.lead();
      await bench.advance(5 * MINUTE);
      const spans = (await bench.records("j")).flatMap((record) => spanOf(record) ?? []);
      const due = Array.from({ length: Math.floor((pausedMs - START - 30_000) / 30_000) }, (_, at) => START + (at + 1) * 30_000);
      t.deepEqual(
        due.filter((dueMs) => !spans.some(({ firstMs, lastMs }) => firstMs <= dueMs && dueMs <= lastMs)).map((dueMs) => dueMs - START),
        [],
      );
    }));
}

test("nobody has led for a while: the ticks of that time are looked at", (t) =>
  withBench(async (bench) => {
    await bench.apply("j", {});
    await bench.lead();
    await bench.advance(2 * MINUTE);
    await bench.die();
    await bench.advance(30 * MINUTE);
    await bench.lead();
    await bench.advance(2 * MINUTE);
    t.deepEqual(verdictsOf(await bench.records("j"), 1, 32), one(1, 32, "missed:noMatchingNode@-"));
  }));

test("what runs, waits or has just come back is waited for", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.apply("long", { rules: [{ mode: "cycle", timer: "1 0 * * *" }] });
    await bench.apply("claimed", { kind: "interval", rules: [{ mode: "cycle", timer: "1 0 * * *" }] });
    await bench.lead();
    await bench.advance(MINUTE);
    await bench.proc("a", "long", minute(1), "E1");
    await bench.claim("a", "claimed", minute(1), "E2");
    await bench.advance(30 * MINUTE);
    t.deepEqual([await bench.records("long"), await bench.records("claimed")], [[], []]);
    await bench.die();
    await bench.lead();
    await bench.advance(30 * MINUTE);
    t.deepEqual([await bench.records("long"), await bench.records("claimed")], [[], []], "the next leader waits for it, too");
    await bench.unproc("a", "long");
    await bench.clock.advance(12_000);
    t.deepEqual(await bench.records("long"), [], "its record is on its way");
    await bench.deliver("a", "long", minute(1), { execution: "E1" });
    await bench.deliver("a", "claimed", minute(1), { execution: "E2" });
    await bench.advance(10 * MINUTE);
    t.deepEqual(verdictsOf(await bench.records("long"), 1, 1), ["1: exit:0@a"]);
    t.deepEqual(verdictsOf(await bench.records("claimed"), 1, 1), ["1: exit:0@a"]);
  }));

test("a node that is there and says nothing: unknown, once its session would be over had it died", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.clock.advance(10_000);
    await bench.apply("j", { rules: [{ mode: "cycle", timer: "5 0 * * *" }] });
    await bench.lead();
    await bench.advance(7 * MINUTE - 12_000);
    t.deepEqual(await bench.records("j"), []);
    await bench.advance(30_000);
    t.deepEqual(verdictsOf(await bench.records("j"), 5, 5), ["5: missed:unknown@a"]);
  }));

test("edits, pauses and deletions change nothing that was, and nothing is due for a form before it was there", (t) =>
  withBench(async (bench) => {
    await bench.apply("j", {});
    await bench.apply("gone", {});
    await bench.lead();
    await bench.clock.advance(3 * MINUTE + 30_000);
    // Due at 4, 5 … no more; every 3 minutes instead.
    await bench.apply("j", { rules: [{ mode: "cycle", timer: "*/3 * * * *" }] });
    await bench.remove("gone");
    await bench.clock.advance(10 * MINUTE);
    await bench.apply("j", { rules: [{ mode: "cycle", timer: "*/3 * * * *" }], pause: true });
    await bench.clock.advance(20 * MINUTE);
    await bench.apply("j", { rules: [{ mode: "cycle", timer: "* * * * *" }] });
    await bench.clock.advance(5 * MINUTE);
    t.deepEqual(
      rangesOf(await bench.records("j"))
        .slice(0, -1)
        .map((range) => range.split(" ").slice(0, 2).join(" ")),
      ["1-3 (3)", "6-12 (3)"],
    );
    t.deepEqual(verdictsOf(await bench.records("j"), 31, 36), [...["31: ", "32: ", "33: "], ...one(34, 36, "missed:noMatchingNode@-")]);
    const gone = verdictsOf(await bench.records("gone"), 1, 30).filter((line) => /missed/.test(line));
    t.true(gone.length <= 3, "nothing after its end");
  }));

for (const how of ["before", "answer"] as const) {
  test(`etcd fails at any transaction (${how}): each tick has one verdict all the same`, (t) =>
    withBench(async (bench) => {
      await bench.join("a");
      await bench.apply("j", { notify: [{ on: ["missed"], to: ["ops"] }] });
      let count = 0;
      const store = bench.connect();
      const flaky: Kv = {
        ...store,
        async txn(txn) {
          const writes = txn.then.some(({ op }) => op !== "get");
          if (!writes || ++count % 3 !== 0) return store.txn(txn);
          if (how === "before") throw new AppError("etcd/unreachable", "away");
          await store.txn(txn);
          throw new AppError("etcd/unknown-outcome", "away");
        },
      };
      await bench.lead(flaky);
      await bench.clock.advance(1000);
      await bench.leave("a");
      for (let at = 1; at <= 30; at++) {
        await bench.clock.advance(MINUTE);
        if (at === 15) await bench.deliver("a", "j", minute(7));
      }
      await bench.clock.advance(2 * MINUTE);
      const records = await bench.records("j");
      t.deepEqual(
        verdictsOf(records, 1, 29),
        one(1, 29, "missed:nodeOffline@a").map((line) => (line.startsWith("7:") ? "7: exit:0@a" : line)),
      );
      const counted = records.reduce((sum, { dueCount, outcome }) => sum + (outcome.type === "missed" ? (dueCount ?? 1) : 0), 0);
      t.like(await bench.stats("j"), { skippedCount: counted, successCount: 1 });
      t.is((await bench.notices()).length, 1);
    }));
}

test("what runs twice or late is counted", (t) =>
  withBench(async (bench) => {
    await bench.join("a");
    await bench.join("b");
    await bench.apply("i", { kind: "interval" });
    await bench.lead();
    await bench.clock.advance(61_000);
    await bench.deliver("a", "i", minute(1), { skewMs: 10 });
    await bench.deliver("b", "i", minute(1), { skewMs: 6000 });
    await bench.deliver("b", "i", minute(1), { skewMs: 6000, orderId: "rerun-x" });
    await bench.advance(11_000);
    t.deepEqual(bench.seen.toSorted(), ["duplicate", "late"]);
  }));
