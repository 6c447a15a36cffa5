import test from "ava";
import { prefixLines } from "./line-prefix.ts";

async function prefixed(pieces: readonly string[]): Promise<string[]> {
  const written: string[] = [];
  const lines = prefixLines("h | ", async (bytes) => void written.push(Buffer.from(bytes).toString()));
  for (const piece of pieces) await lines.write(Buffer.from(piece));
  await lines.end();
  return written;
}

test("lines are whole, however the bytes came", async (t) => {
  t.deepEqual(await prefixed(["a\nb", "c", "\n\nd"]), ["h | a\n", "h | bc\nh | \n", "h | d\n"]);
  t.deepEqual(await prefixed([""]), []);
  t.deepEqual(await prefixed(["x\n"]), ["h | x\n"]);
});

test("a line without end is cut into pieces", async (t) => {
  const written = (await prefixed(["x".repeat(200_000)])).join("");
  t.deepEqual(
    written.split("\n").map((line) => line.length),
    [65_540, 65_540, 65_540, 3396, 0],
  );
});
