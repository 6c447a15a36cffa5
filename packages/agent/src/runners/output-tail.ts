/** The end of a log as text, for the record: reads only what it needs, however large the file is. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { layoutOf, readCut } from "../logs/log-cut.ts";

export type OutputTail = { readonly tail: string; readonly cutBytes: number; readonly totalBytes: number };

/**
 * The last `tailBytes` bytes of the file (a little less, rather than half a character); `cutBytes` were left out before them. What is not UTF-8 becomes
 * U+FFFD. A file that does not exist is empty.
 */
export function readTail(path: string, tailBytes: number): OutputTail {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { tail: "", cutBytes: 0, totalBytes: 0 };
    throw error;
  }
  try {
    const { size, ino } = fstatSync(fd);
    const known = readCut(path);
    // What was cut out of the middle counts, but is not there to be read.
    const { head, cut, filled } = known === undefined ? { head: 0, cut: 0, filled: 0 } : layoutOf(known, ino);
    const totalBytes = size - filled + cut;
    const start = Math.max(head + filled, size - tailBytes);
    const bytes = readFully(fd, start, size - start);
    const skip = start === 0 ? 0 : continuationBytes(bytes);
    return { tail: bytes.toString("utf8", skip), cutBytes: start - filled + cut + skip, totalBytes };
  } finally {
    closeSync(fd);
  }
}

function readFully(fd: number, start: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, start + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** How many bytes at the beginning belong to a character that began before (at most 3). */
function continuationBytes(bytes: Buffer): number {
  let count = 0;
  while (count < 3 && count < bytes.length && ((bytes[count] ?? 0) & 0xc0) === 0x80) count++;
  return count;
}
