import test from "ava";
import { latenessOf } from "./lateness.ts";

test("percentiles are the nearest rank, whatever the order; the histogram counts all", (t) => {
  const delays = Array.from({ length: 200 }, (_, index) => 200 - index);
  const found = latenessOf([...delays, 4_000_000]);
  t.like(found, { count: 201, p50Ms: 101, p99Ms: 199, maxMs: 4_000_000 });
  t.deepEqual(
    found?.histogram.filter(({ count }) => count > 0),
    [
      { toMs: 10, count: 10 },
      { toMs: 20, count: 10 },
      { toMs: 50, count: 30 },
      { toMs: 100, count: 50 },
      { toMs: 200, count: 100 },
      { count: 1 },
    ],
  );
  t.is(latenessOf([]), undefined);
});
