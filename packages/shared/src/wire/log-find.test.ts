import test from "ava";
import fc from "fast-check";
import { type FindSource, findLine } from "./log-find.ts";

const never = new AbortController().signal;

/** A log of which [cutFrom, cutTo) is gone. */
function sourceOf(bytes: Buffer, cutFrom = 0, cutTo = 0): FindSource {
  return {
    size: bytes.length,
    async read(offset, length) {
      if (offset < cutFrom) return { from: offset, bytes: bytes.subarray(offset, Math.min(offset + length, cutFrom)) };
      const from = Math.max(offset, cutTo);
      return { from, bytes: bytes.subarray(from, from + length) };
    },
  };
}

/** The lines that are kept, by where they begin. */
function linesOf(bytes: Buffer, cutFrom: number, cutTo: number): { at: number; text: string }[] {
  const parts = [
    { at: 0, bytes: bytes.subarray(0, cutFrom) },
    { at: cutTo, bytes: bytes.subarray(cutTo) },
  ];
  return parts.flatMap((part) => {
    let at = part.at;
    return part.bytes
      .toString("latin1")
      .split("\n")
      .map((line) => {
        const begin = at;
        at += line.length + 1;
        return { at: begin, text: line };
      });
  });
}

test("finds what a look at every line finds, wherever pieces and cuts are", async (t) => {
  const log = fc.array(fc.constantFrom("a", "B", "\n", "ab", "x\nab", "\u001b[1m", "."), { maxLength: 60 }).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(
      ...[
        log,
        fc.oneof(fc.constant(0), fc.nat(80)),
        fc.oneof(fc.constant(0), fc.nat(80)),
        fc.nat(90),
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
      ],
      async (text, one, other, from, piece, up) => {
        const bytes = Buffer.from(text, "latin1");
        const [cutFrom = 0, cutTo = 0] = [Math.min(one, bytes.length), Math.min(other, bytes.length)].sort((a, b) => a - b);
        fc.pre(cutFrom < cutTo || cutTo === 0);
        const hits = linesOf(bytes, cutFrom, cutTo).filter(({ text: line }) =>
          line.replaceAll("\u001b[1m", "").toLowerCase().includes("ab"),
        );
        // A sequence that is cut through is no sequence any more.
        fc.pre(cutFrom === cutTo || !text.includes("\u001b"));
        const expected = up ? hits.findLast(({ at }) => at < from) : hits.find(({ at }) => at >= from);
        t.is(await findLine(sourceOf(bytes, cutFrom, cutTo), { text: "aB", from, up }, never, piece), expected?.at, JSON.stringify(text));
      },
    ),
    { numRuns: 10_000 },
  );
});

test("a text across pieces, of more than one byte, and in a line without end", async (t) => {
  const bytes = Buffer.from(`${"x".repeat(300_000)}Ärger\n${"y".repeat(10)}\n`);
  t.is(await findLine(sourceOf(bytes), { text: "ÄRGER", from: 0, up: false }, never, 300_001), 0);
  t.is(await findLine(sourceOf(bytes), { text: "ärger", from: bytes.length, up: true }, never), 0);
  t.is(await findLine(sourceOf(bytes), { text: "yy", from: 1, up: false }, never), 300_007);
  t.is(await findLine(sourceOf(bytes), { text: "z", from: 0, up: false }, never), undefined);
});

test("who no longer wants to know is not made to wait", async (t) => {
  const stop = new AbortController();
  stop.abort();
  t.is(await findLine(sourceOf(Buffer.from("a\n")), { text: "a", from: 0, up: false }, stop.signal), undefined);
});
