import test from "ava";
import fc from "fast-check";
import { Heap } from "./heap.ts";

test("items come out by time, first in first out among equals", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (times) => {
      const heap = new Heap<{ atMs: number; index: number }>();
      for (const [index, atMs] of times.entries()) heap.push({ atMs, index });
      const out = times.map(() => heap.pop());
      const expected = times.map((atMs, index) => ({ atMs, index })).sort((a, b) => a.atMs - b.atMs || a.index - b.index);
      t.deepEqual(out, expected);
      t.is(heap.pop(), undefined);
    }),
  );
});

test("retain keeps the order of what stays", (t) => {
  const heap = new Heap<{ atMs: number }>();
  for (const atMs of [5, 3, 8, 1, 9, 2]) heap.push({ atMs });
  heap.retain((item) => item.atMs % 2 === 1);
  t.deepEqual([heap.pop()?.atMs, heap.pop()?.atMs, heap.pop()?.atMs, heap.pop()?.atMs, heap.size], [1, 3, 5, 9, 0]);
});
