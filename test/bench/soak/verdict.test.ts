import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { boundOf, boundsTable } from "./bounds.ts";
import { judge, type Sample, slopePerHour, troughs } from "./verdict.ts";

const MINUTE = 60_000;

/** A sample each ten seconds of `minutes`. */
function series(minutes: number, value: (minute: number, i: number) => number): Sample[] {
  return Array.from({ length: minutes * 6 }, (_, i) => ({ atMs: 1_000_000 + i * 10_000, value: value(i / 6, i) }));
}

/** Rises by 30 for a minute and a half, then falls back: garbage that is collected. */
const sawtooth = (i: number) => (i % 9) * 3;

test("a sawtooth on level ground does not grow, whatever its height", (t) => {
  const judged = judge(
    { kind: "slope", perHour: 10 },
    series(20, (_, i) => 150 + sawtooth(i)),
    5 * MINUTE,
  );
  t.true(judged.ok);
  t.true(Math.abs(judged.perHour) < 10);
});

test("a leak under a sawtooth is seen, and its rate told", (t) => {
  const judged = judge(
    { kind: "slope", perHour: 60 },
    series(20, (minute, i) => 150 + sawtooth(i) + minute * 2),
    5 * MINUTE,
  );
  t.false(judged.ok);
  t.true(Math.abs(judged.perHour - 120) < 15, `${judged.perHour}`);
});

test("what grows while it warms up does not count", (t) => {
  const values = series(20, (minute) => Math.min(minute, 12) * 20);
  t.true(judge({ kind: "slope", perHour: 10 }, values, 13 * MINUTE).ok);
  t.false(judge({ kind: "slope", perHour: 10 }, values, 0).ok);
});

test("a level may swing, but not move by more than its slack", (t) => {
  const swinging = series(10, (_, i) => 20 + (i % 3) * 5);
  t.true(judge({ kind: "level", slack: 2 }, swinging, MINUTE).ok);
  const moving = series(10, (minute) => 20 + Math.floor(minute));
  t.false(judge({ kind: "level", slack: 2 }, moving, MINUTE).ok);
});

test("one sample above the most fails, also while it warms up", (t) => {
  const values = series(10, (_, i) => (i === 3 ? 101 : 1));
  t.false(judge({ kind: "most", value: 100 }, values, 5 * MINUTE).ok);
  t.true(judge({ kind: "most", value: 101 }, values, 5 * MINUTE).ok);
});

test("what grows by design always passes, but nothing passes without samples", (t) => {
  t.true(
    judge(
      { kind: "told" },
      series(10, (minute) => minute),
      MINUTE,
    ).ok,
  );
  t.false(judge({ kind: "told" }, [], MINUTE).ok);
  t.false(
    judge(
      { kind: "level", slack: 5 },
      series(2, () => 1),
      2 * MINUTE,
    ).ok,
  );
});

test("a trend is not moved by a few samples that lie far off", (t) => {
  const values = series(10, (minute, i) => (i % 10 === 0 ? 1000 : minute));
  t.true(Math.abs(slopePerHour(values) - 60) < 1);
  t.is(slopePerHour([]), 0);
});

test("troughs are the least sample of each stretch", (t) => {
  t.deepEqual(
    troughs(
      series(2, (_, i) => 10 - (i % 6)),
      MINUTE,
    ).map(({ value }) => value),
    [5, 5],
  );
});

test("each metric has one bound, the more special row first, and docs/soak.md holds them all", (t) => {
  t.is(boundOf("keys of claims").bound.kind, "told");
  t.is(boundOf("keys of nodes").name, "keys: every other family");
  t.throws(() => boundOf("something new"), { message: /no bound/ });
  const text = readFileSync(join(import.meta.dirname, "../../../docs/soak.md"), "utf8");
  t.true(text.includes(boundsTable()), "renew it from boundsTable()");
});
