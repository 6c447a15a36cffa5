/**
 * Reads a log by the offsets at which the process wrote, while it is written, capped, made compact or removed: an open log stays readable, and what was cut
 * out is never taken for output. Reads only what it is asked for, however large the file is. Knows nothing of etcd.
 */
import { type FileHandle, open } from "node:fs/promises";
import { type LogCut, layoutOf, readCut } from "./log-cut.ts";

/** `bytes` begin at `from`, which is larger than the offset that was asked for where the bytes before it are cut out. */
export type Piece = { readonly from: number; readonly bytes: Buffer };

const SCAN_PIECE = 256 * 1024;
/** `--tail` looks back so far for its lines. */
const SCAN_BYTES = 64 * 2 ** 20;
const NEWLINE = 10;

export type LogReader = AsyncDisposable & {
  /** How many bytes the process has written so far. */
  size(): Promise<number>;
  /** At most `length` bytes from `offset` on, up to the next cut or the end. */
  read(offset: number, length: number): Promise<Piece>;
};

/** The log at `path`; undefined when there is none. */
export async function openLogReader(path: string): Promise<LogReader | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
  const { ino } = await file.stat();
  let known = readCut(path);
  /** The file that describes a removed log goes with it: what is known then stays. */
  const lookAgain = () => {
    known = readCut(path) ?? known;
  };
  const sizeNow = async () => ((file) => writtenBytes(known, ino, file.size))(await file.stat());

  async function readOnce(offset: number, length: number): Promise<Piece> {
    if (known === undefined) return { from: offset, bytes: await readFully(file, offset, length) };
    const { head, cut, filled } = layoutOf(known, ino);
    if (offset < head) return { from: offset, bytes: await readFully(file, offset, Math.min(length, head - offset)) };
    const from = Math.max(offset, head + cut);
    return { from, bytes: await readFully(file, from - cut + filled, length) };
  }

  return {
    async size() {
      lookAgain();
      return sizeNow();
    },
    async read(offset, length) {
      for (;;) {
        lookAgain();
        const before = known;
        const piece = await readOnce(offset, length);
        lookAgain();
        if (known?.head === before?.head && known?.cut === before?.cut) return piece;
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

function writtenBytes(cut: LogCut | undefined, ino: number, fileSize: number): number {
  if (cut === undefined) return fileSize;
  const layout = layoutOf(cut, ino);
  return fileSize - layout.filled + layout.cut;
}

async function readFully(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Where the last `lines` lines before `size` begin; not further back than a cut, or 64 MiB. */
export async function startOfTail(log: LogReader, size: number, lines: number): Promise<number> {
  if (lines === 0) return size;
  const floor = Math.max(0, size - SCAN_BYTES);
  let left = lines;
  for (let end = size; end > floor; ) {
    const start = Math.max(floor, end - SCAN_PIECE);
    const { from, bytes } = await lastRun(log, start, end);
    for (let at = bytes.length - 1; at >= 0; at--) {
      if (bytes[at] !== NEWLINE || from + at === size - 1) continue;
      if (--left === 0) return from + at + 1;
    }
    if (from > start) return from;
    end = start;
  }
  return floor;
}

/** The bytes right before `end`, from `start` or the last cut on. */
async function lastRun(log: LogReader, start: number, end: number): Promise<Piece> {
  let run = await log.read(start, end - start);
  for (;;) {
    const stopped = run.from + run.bytes.length;
    if (stopped >= end) return { from: run.from, bytes: run.bytes.subarray(0, Math.max(0, end - run.from)) };
    const next = await log.read(stopped, end - stopped);
    if (next.bytes.length === 0) return run;
    run = next;
  }
}

/** The offset behind the `lines`-th newline of a piece, or how many lines it holds when there are fewer. */
export function afterLines(bytes: Buffer, lines: number): { readonly end: number } | { readonly lines: number } {
  let seen = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (++seen === lines) return { end: at + 1 };
  }
  return { lines: seen };
}
