import test from "ava";
import fc from "fast-check";
import { matchOneToOne } from "./matching.ts";

test("a greedy choice is taken back where another vertex has no other", (t) => {
  const { right } = matchOneToOne([[0, 1], [0]], 2);
  t.deepEqual([...right], [1, 0]);
});

test("a chain of choices is shifted along its whole length", (t) => {
  const length = 50_000;
  const edges = Array.from({ length }, (_, l) => [l, l + 1].filter((r) => r < length));
  edges.push([0]);
  const { right } = matchOneToOne(edges, length + 1);
  t.is(right.filter((r) => r >= 0).length, length);
});

test("of any graph it finds as many pairs as trying everything does", (t) => {
  const graph = fc.array(fc.uniqueArray(fc.nat(5), { maxLength: 4 }), { maxLength: 6 });
  fc.assert(
    fc.property(graph, (edges) => {
      const { right, left } = matchOneToOne(edges, 6);
      right.forEach((r, l) => {
        if (r >= 0) t.true(edges[l]?.includes(r) === true && left[r] === l);
      });
      t.is(right.filter((r) => r >= 0).length, best(edges, 0, new Set()));
    }),
    { numRuns: 500 },
  );
});

function best(edges: readonly (readonly number[])[], from: number, taken: ReadonlySet<number>): number {
  const own = edges[from];
  if (own === undefined) return 0;
  const choices = own.filter((r) => !taken.has(r)).map((r) => 1 + best(edges, from + 1, new Set([...taken, r])));
  return Math.max(best(edges, from + 1, taken), ...choices);
}
