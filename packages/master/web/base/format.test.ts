import test from "ava";
import { matchesWords } from "../data/filter.ts";
import { bytes, span } from "./format.ts";
import { href, parseRoute } from "./router.ts";

test("spans and sizes read well at every size", (t) => {
  const ms = [0, 12, 999, 1000, 1500, 9960, 59_400, 59_600, 60_000, 3_599_000, 3_600_000, 86_399_000, 90_000_000];
  t.deepEqual(ms.map(span), [
    "0 ms",
    "12 ms",
    "999 ms",
    "1 s",
    "1.5 s",
    "10 s",
    "59 s",
    "1 min",
    "1 min",
    "59 min 59 s",
    "1 h",
    "24 h",
    "1 d 1 h",
  ]);
  t.deepEqual([0, 999, 1000, 1_540_000, 999_600, 12_000_000_000].map(bytes), ["0 B", "999 B", "1.0 kB", "1.5 MB", "1.0 MB", "12 GB"]);
});

test("an address of the console keeps whatever a name holds", (t) => {
  const parts = ["jobs", "a/b?c#d&e", "<img> %41 ü"];
  const { path, query } = parseRoute(href(parts, { job: "g/i?&=", x: "1 2" }));
  t.deepEqual([path, Object.fromEntries(query)], [parts, { job: "g/i?&=", x: "1 2" }]);
  t.deepEqual(parseRoute("#/%zz").path, ["%zz"]);
});

test("search: every word, none that is left out", (t) => {
  t.true(matchesWords("db/backup tier=gold", "gold BACK"));
  t.false(matchesWords("db/backup tier=gold", "gold -back"));
  t.true(matchesWords("anything", " - "));
});
