import test from "ava";
import { appended, emptyWindow, type LogPart, type LogWindow, openedAt, prepended, shownLines, WINDOW_BYTES } from "./log-window.ts";

const log = Buffer.from("first\nsecond ünd\n\nfourth\nlast without end");
const part = (from: number, to: number, skipped = 0): LogPart => ({ offset: from, next: to, skipped, bytes: log.subarray(from, to) });
const texts = (window: LogWindow) => shownLines(window).map(({ text, cut }) => (cut === undefined ? text : `cut ${cut}`));
const whole = log.toString().split("\n");

test("wherever ranges begin and end, the lines are the same", (t) => {
  for (let a = 0; a <= log.length; a++) {
    const window = appended(appended(emptyWindow(), part(0, a)), part(a, log.length));
    t.deepEqual(texts(window), whole, `cut at ${a}`);
    for (const { offset, text } of shownLines(window)) t.is(log.subarray(offset, offset + Buffer.byteLength(text)).toString(), text);
  }
});

test("what is put before joins what is there, from any place in the middle", (t) => {
  for (let a = 1; a < log.length; a++) {
    const opened = openedAt(part(a, log.length));
    const window = prepended(opened, part(0, opened.start));
    t.deepEqual(texts(window), whole, `opened at ${a}`);
    t.is(window.start, 0);
  }
});

test("what is not kept is told of, also behind half a line", (t) => {
  const window = appended(appended(emptyWindow(), part(0, 3)), part(18, log.length, 15));
  t.deepEqual(texts(window), ["fir", "cut 15", "", "fourth", "last without end"]);
});

test("a line without end is shown in pieces, and a long log keeps only what is near", (t) => {
  const bytes = Buffer.alloc(20_000, "x");
  t.deepEqual(
    shownLines(appended(emptyWindow(), { offset: 0, next: 20_000, skipped: 0, bytes })).map(({ text }) => text.length),
    [8000, 8000, 4000],
  );
  const lines = Buffer.from(`${"y".repeat(99)}\n`.repeat(40_000));
  let window = emptyWindow();
  for (let at = 0; at < 5; at++) {
    window = appended(window, { offset: at * lines.length, next: (at + 1) * lines.length, skipped: 0, bytes: lines });
  }
  t.true(window.end - window.start <= WINDOW_BYTES && window.end === 5 * lines.length);
  t.is(window.start % 100, 0);
  const back = prepended(window, { offset: window.start - lines.length, next: window.start, skipped: 0, bytes: lines });
  t.true(back.end - back.start <= WINDOW_BYTES && back.start === window.start - lines.length + 100);
});
