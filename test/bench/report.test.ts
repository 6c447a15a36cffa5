import test from "ava";
import { markdownTable, median, ms, spread } from "./report.ts";

test("the median is the middle value, or the mean of the middle two", (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([]), Number.NaN);
});

test("a spread names the median and both ends, a single value itself, none a dash", (t) => {
  t.is(
    spread([1, 9, 5], (value) => `${value} ms`),
    "5 ms (1 ms–9 ms)",
  );
  t.is(spread([7], String), "7");
  t.is(spread([], String), "—");
});

test("tables are Markdown: a cell keeps its bars and line ends inside, and rows must be as long as the head", (t) => {
  t.is(markdownTable(["a", "b"], [["1", "x|y\nz"]]), "| a | b |\n| --- | --- |\n| 1 | x\\|y z |");
  t.throws(() => markdownTable(["a", "b"], [["1"]]), { message: /1 cells under 2/ });
});

test("times get the unit that can be read", (t) => {
  t.deepEqual([2.34, 234.4, 12_345].map(ms), ["2.3 ms", "234 ms", "12.3 s"]);
});
