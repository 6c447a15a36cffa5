import test from "ava";
import { createLogLines, sinceSecond } from "./log-lines.ts";

const text = (lines: Uint8Array[]) => Buffer.concat(lines).toString();
const at = (second: string, fraction = "") => `2027-01-01T00:00:${second}${fraction}Z`;

test("each line once, however often and wherever the stream is cut", (t) => {
  const all = Array.from(
    { length: 60 },
    (_, i) => `${at(String(Math.floor(i / 7)).padStart(2, "0"), i % 7 === 0 ? "" : `.${i % 7}`)} line ${i}\n`,
  );
  const bytes = Buffer.from(all.join(""));
  for (let cut = 1; cut < bytes.length; cut += 13) {
    const lines = createLogLines();
    let out = text(lines.take(bytes.subarray(0, cut)));
    lines.cut();
    const from = lines.since === undefined ? "" : sinceSecond(lines.since);
    // The server answers from a second on.
    const again = all.filter((line) => line.slice(0, 19) >= from.slice(0, 19)).join("");
    for (const byte of Buffer.from(again)) out += text(lines.take(Uint8Array.of(byte)));
    t.is(out, all.map((line) => line.slice(line.indexOf(" ") + 1)).join(""), `cut at ${cut}`);
  }
});

test("two lines of the same instant are two, and out of order is no loss", (t) => {
  const lines = createLogLines();
  const stream = [`${at("01", ".5")} a\n`, `${at("01", ".5")} a\n`, `${at("01", ".4")} b\n`];
  t.is(text(lines.take(Buffer.from(stream.slice(0, 2).join("")))), "a\na\n");
  lines.cut();
  t.is(text(lines.take(Buffer.from(stream.join("")))), "b\n");
});

test("a last line without its end counts when the container has ended, not when the stream was cut", (t) => {
  const lines = createLogLines();
  t.is(text(lines.take(Buffer.from(`${at("01")} half`))), "");
  lines.cut();
  t.is(text(lines.end()), "");
  lines.take(Buffer.from(`${at("01")} half`));
  t.is(text(lines.end()), "half");
});

test("after a crash, lines up to the trace are not told again", (t) => {
  const lines = createLogLines(at("05", ".25"));
  t.is(text(lines.take(Buffer.from(`${at("05", ".1")} a\n${at("05", ".25")} b\n${at("05", ".250000001")} c\n`))), "c\n");
});

test("a line without end is passed on in pieces, and its stamp is not taken for text", (t) => {
  const lines = createLogLines();
  const long = "x".repeat(1_100_000);
  t.is(text(lines.take(Buffer.from(`${at("01")} ${long}`))), long);
  t.is(text(lines.take(Buffer.from(`rest\n${at("02")} next\n`))), "rest\nnext\n");
});

test("time stamps of other zones are compared as instants", (t) => {
  const lines = createLogLines("2027-01-01T01:00:00.5+01:00");
  t.is(text(lines.take(Buffer.from(`${at("00", ".5")} a\n2027-01-01T01:00:00.6+01:00 b\n`))), "b\n");
  t.is(sinceSecond("2027-01-01T01:00:00.5+01:00"), "2026-12-31T23:59:59Z");
});
