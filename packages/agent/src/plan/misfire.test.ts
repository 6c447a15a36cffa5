import test from "ava";
import { resolvePassed } from "./misfire.ts";

const everySecond = {
  nextAfter: (ms: number) => Math.floor(ms / 1000) * 1000 + 1000,
  lastAtOrBefore: (ms: number) => Math.floor(ms / 1000) * 1000,
};
const base = { afterMs: 0, nowMs: 60_000, policy: "once", windowMs: 3_600_000, graceMs: 10_000 } as const;

test("nothing has passed", (t) => {
  t.deepEqual(resolvePassed(everySecond, { ...base, afterMs: 60_000 }), {
    fire: [],
    skipped: undefined,
    missed: undefined,
    handledMs: 60_000,
  });
});

test("ticks younger than the grace all fire, whatever the policy", (t) => {
  for (const policy of ["once", "skip", "all"] as const) {
    t.deepEqual(resolvePassed(everySecond, { ...base, policy, afterMs: 57_000 }).fire, [58_000, 59_000, 60_000]);
  }
});

test("once: the newest fires, the others are one skipped range", (t) => {
  const passed = resolvePassed(everySecond, base);
  t.deepEqual(passed.fire, [60_000]);
  t.deepEqual(passed.skipped, { firstMs: 1000, lastMs: 59_000, count: 59 });
  t.is(passed.handledMs, 60_000);
});

test("skip: the newest fires only while it is within the grace", (t) => {
  t.deepEqual(resolvePassed(everySecond, { ...base, policy: "skip" }).fire, [60_000]);
  const late = resolvePassed(everySecond, { ...base, policy: "skip", graceMs: 0, nowMs: 60_500 });
  t.deepEqual(late.fire, []);
  t.is(late.skipped?.count, 60);
});

test("all: every tick within the window fires, older ones are missed", (t) => {
  const passed = resolvePassed(everySecond, { ...base, policy: "all", windowMs: 20_000 });
  t.deepEqual(
    passed.fire,
    Array.from({ length: 21 }, (_, i) => 40_000 + i * 1000),
  );
  t.deepEqual(passed.missed, { firstMs: 1000, lastMs: 39_000, count: 39 });
  t.is(passed.skipped, undefined);
});

test("a single old tick beyond the window is missed, not fired", (t) => {
  const once = {
    nextAfter: (ms: number) => (ms < 5000 ? 5000 : undefined),
    lastAtOrBefore: (ms: number) => (ms >= 5000 ? 5000 : undefined),
  };
  const passed = resolvePassed(once, { ...base, windowMs: 10_000 });
  t.deepEqual(passed.fire, []);
  t.deepEqual(passed.missed, { firstMs: 5000, lastMs: 5000, count: 1 });
});
