import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { readTail } from "./output-tail.ts";

function tailOf(content: string | Uint8Array, tailBytes: number) {
  const folder = mkdtempSync(join(tmpdir(), "fleetcron-tail-"));
  try {
    writeFileSync(join(folder, "log"), content);
    return readTail(join(folder, "log"), tailBytes);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a short log is whole, a long one is cut at its beginning", (t) => {
  t.deepEqual(tailOf("hello\n", 100), { tail: "hello\n", cutBytes: 0, totalBytes: 6 });
  t.deepEqual(tailOf("hello\n", 6), { tail: "hello\n", cutBytes: 0, totalBytes: 6 });
  t.deepEqual(tailOf("hello\n", 3), { tail: "lo\n", cutBytes: 3, totalBytes: 6 });
  t.deepEqual(tailOf("hello\n", 0), { tail: "", cutBytes: 6, totalBytes: 6 });
  t.deepEqual(tailOf("", 10), { tail: "", cutBytes: 0, totalBytes: 0 });
});

test("no log is an empty log", (t) => {
  t.deepEqual(readTail("/no/such/log", 10), { tail: "", cutBytes: 0, totalBytes: 0 });
});

test("a character is never cut in two", (t) => {
  const text = "aü€😀z";
  const total = Buffer.byteLength(text);
  for (let tailBytes = 0; tailBytes <= total; tailBytes++) {
    const { tail, cutBytes } = tailOf(text, tailBytes);
    t.true(text.endsWith(tail));
    t.is(cutBytes + Buffer.byteLength(tail), total);
    t.true(Buffer.byteLength(tail) <= tailBytes);
  }
});

test("what is not UTF-8 is replaced", (t) => {
  t.is(tailOf(Uint8Array.of(0x61, 0xff, 0xfe, 0x62), 10).tail, "a\ufffd\ufffdb");
  t.is(tailOf(Buffer.concat([Buffer.from("ok"), Buffer.from("€").subarray(0, 2)]), 10).tail, "ok\ufffd");
});
