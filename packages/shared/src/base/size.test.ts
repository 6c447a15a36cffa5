import test from "ava";
import fc from "fast-check";
import { formatSize, parseSize } from "./size.ts";

test("units are decimal and binary", (t) => {
  t.is(parseSize("64MiB"), 64 * 1024 * 1024);
  t.is(parseSize("8KiB"), 8192);
  t.is(parseSize("1.5KB"), 1500);
  t.is(parseSize("7B"), 7);
  t.is(parseSize("0"), 0);
});

test("what is no size gives undefined", (t) => {
  for (const text of ["", "1", "1k", "64 MiB", "-1B", "1mib", "MiB", "9999999TiB"]) t.is(parseSize(text), undefined, text);
});

test("formatting and parsing again gives the same bytes", (t) => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 50 }), (bytes) => parseSize(formatSize(bytes)) === bytes));
  t.is(formatSize(64 * 2 ** 20), "64MiB");
});
