import test from "ava";
import { addLoad, emptyLoad, MINUTE_MS, peakMinutes } from "./forecast-load.ts";

const at = (minute: number) => minute * MINUTE_MS;

test("starts count in their minute, durations as long as they last, on so many nodes", (t) => {
  const load = emptyLoad(at(100), 5);
  addLoad(load, [at(101), at(101) + 30_000], 2, 90_000);
  t.deepEqual([...load.starts], [0, 4, 0, 0, 0]);
  t.deepEqual([...load.running], [0, 3, 3, 0, 0], "two of a whole minute and two of a half one, then two halves and two wholes");
});

test("what began before, or lasts beyond the end, counts with what lies within", (t) => {
  const load = emptyLoad(at(100), 3);
  addLoad(load, [at(98)], 1, 2.5 * MINUTE_MS);
  addLoad(load, [at(102)], 1, 100 * MINUTE_MS);
  addLoad(load, [at(103)], 1, 0);
  t.deepEqual([...load.starts], [0, 0, 1]);
  t.deepEqual([...load.running], [0.5, 0, 1]);
});

test("peaks are the minutes that stand out, greatest first, without their neighbours", (t) => {
  const starts = Array.from({ length: 600 }, () => 3);
  [starts[100], starts[101], starts[300], starts[500]] = [500, 400, 900, 5];
  t.deepEqual(peakMinutes(starts, 10), [300, 100]);
  t.deepEqual(peakMinutes(starts, 1), [300]);
  t.deepEqual(peakMinutes(Array(60).fill(7), 10), [], "an even load has none");
  t.deepEqual(peakMinutes([], 10), []);
});
