import test from "ava";
import { expectedEnd, freeAt } from "./node-work.ts";

test("a process ends at its usual time; when that is over, at its timeout; else nobody can tell", (t) => {
  const end = (usualMs: number, limitMs: number) => expectedEnd({ beganMs: 1000, nowMs: 5000, usualMs, limitMs });
  t.is(end(10_000, 0), 11_000);
  t.is(end(10_000, 8000), 9000, "the timeout comes first");
  t.is(end(3000, 8000), 9000, "longer than usual");
  t.is(end(3000, 0), undefined);
  t.is(end(0, 0), undefined);
  t.is(end(0, 2000), 5000, "its end is due now");
});

test("a node is free when the last of its executions is, if that can be told", (t) => {
  const work = (...ends: (string | null)[]) =>
    ends.map((end) => ({ execution: "e", group: "g", job: "j", attempt: 1, startedAt: "2027-01-01T00:00:00.000Z", freeAt: end }));
  t.is(freeAt(work("2027-01-01T00:00:02.000Z", "2027-01-01T00:00:03.000Z", "2027-01-01T00:00:01.000Z"), 0), "2027-01-01T00:00:03.000Z");
  t.is(freeAt(work("2027-01-01T00:00:02.000Z", null), 0), null);
  t.is(freeAt(work("2027-01-01T00:00:02.000Z"), 1), null, "what waits is not counted yet");
  t.is(freeAt([], 0), null);
});
