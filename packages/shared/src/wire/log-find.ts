/**
 * Finds a line in a log of any size, reading it piece by piece. Letters of either case are the same; colours and other control sequences are
 * no part of a line's text. Where the middle of a log is cut out, a line ends before the cut and another begins behind it.
 */
import { plainText } from "../model/plain-text.ts";

/** `up: false`: the first line that begins at `from` or later; `up: true`: the last one that begins before `from`. */
export type FindWish = { readonly text: string; readonly from: number; readonly up: boolean };

export type FindSource = {
  /** How many bytes the process has written. */
  readonly size: number;
  /** At most `length` bytes from `offset` on, up to the next cut or the end; beginning later where `offset` lies in a cut. */
  read(offset: number, length: number): Promise<{ readonly from: number; readonly bytes: Buffer }>;
};

const PIECE = 256 * 1024;
/** So much of a line without end is searched together with what follows. */
const CARRY = 64 * 1024;
const NEWLINE = 10;
const ESCAPE = String.fromCharCode(27);
const NOTHING = Buffer.alloc(0);

/** Where the line begins; undefined when there is none, or nobody wants to know any more. Throws what reading throws. */
export function findLine(source: FindSource, wish: FindWish, signal: AbortSignal, pieceBytes = PIECE): Promise<number | undefined> {
  const wanted = wish.text.toLowerCase();
  return wish.up ? findUp(source, wanted, wish.from, signal, pieceBytes) : findDown(source, wanted, wish.from, signal, pieceBytes);
}

async function findDown({ size, read }: FindSource, wanted: string, from: number, signal: AbortSignal, pieceBytes: number) {
  /** Where the line begins that `carry` is of; undefined: before `from`. */
  let lineAt = from === 0 ? 0 : undefined;
  let carry: Buffer = NOTHING;
  // The byte before tells whether a line begins at `from`.
  for (let at = Math.max(0, from - 1); at < size && !signal.aborted; ) {
    const piece = await read(at, Math.min(pieceBytes, size - at));
    if (piece.bytes.length === 0) break;
    if (piece.from > at) {
      carry = NOTHING;
      lineAt = piece.from;
    }
    at = piece.from + piece.bytes.length;
    const begin = lineAt === undefined ? piece.bytes.indexOf(NEWLINE) + 1 : 0;
    if (lineAt === undefined && begin === 0) continue;
    lineAt ??= piece.from + begin;
    const buffer = Buffer.concat([carry, piece.bytes.subarray(begin)]);
    const bufferAt = at - buffer.length;
    const hit = lineWith(buffer, wanted, false);
    if (hit !== undefined) return hit === 0 ? lineAt : bufferAt + hit;
    const lastEnd = buffer.lastIndexOf(NEWLINE) + 1;
    if (lastEnd > 0) lineAt = bufferAt + lastEnd;
    carry = buffer.subarray(Math.max(lastEnd, buffer.length - CARRY));
  }
  return undefined;
}

async function findUp(source: FindSource, wanted: string, from: number, signal: AbortSignal, pieceBytes: number) {
  let end = Math.min(from, source.size);
  /** The rest of the line that `end` lies in, as far as it may hold the beginning of the text; `isHit`: it holds the text already. */
  let rest = await restOfLine(source, end);
  let isHit = false;
  while (end > 0 && !signal.aborted) {
    const start = Math.max(0, end - pieceBytes);
    const runs = await runsOf(source, start, end);
    const highest = runs.at(-1);
    // Behind a cut a line begins.
    if (highest === undefined || highest.from + highest.bytes.length < end) {
      if (isHit || lineWith(rest, wanted, true) !== undefined) return end;
      rest = NOTHING;
    }
    for (const run of runs.reverse()) {
      const isWhole = run.from === 0 || run.from > start;
      const lastBegin = run.bytes.lastIndexOf(NEWLINE) + 1;
      if (isHit && (lastBegin > 0 || isWhole)) return run.from + lastBegin;
      const buffer = Buffer.concat([run.bytes, run === highest ? rest : NOTHING]);
      const begin = isWhole ? 0 : run.bytes.indexOf(NEWLINE) + 1 || buffer.length;
      const hit = lineWith(buffer.subarray(begin), wanted, true);
      if (hit !== undefined) return run.from + begin + hit;
      isHit ||= lineWith(buffer.subarray(0, begin), wanted, true) !== undefined;
      rest = isWhole ? NOTHING : firstLine(buffer);
    }
    end = start;
  }
  return undefined;
}

/** What follows at `end` of the line that the byte before it is of. */
async function restOfLine({ size, read }: FindSource, end: number): Promise<Buffer> {
  if (end === 0 || end >= size) return NOTHING;
  const before = await read(end - 1, 1);
  if (before.from !== end - 1 || before.bytes[0] === NEWLINE) return NOTHING;
  const behind = await read(end, CARRY);
  return behind.from === end ? firstLine(behind.bytes) : NOTHING;
}

/** What is kept of [start, end), in its order. */
async function runsOf({ read }: FindSource, start: number, end: number): Promise<{ from: number; bytes: Buffer }[]> {
  const runs: { from: number; bytes: Buffer }[] = [];
  for (let at = start; at < end; ) {
    const piece = await read(at, end - at);
    const bytes = piece.bytes.subarray(0, Math.max(0, end - piece.from));
    if (bytes.length === 0) break;
    const last = runs.at(-1);
    if (last !== undefined && last.from + last.bytes.length === piece.from) last.bytes = Buffer.concat([last.bytes, bytes]);
    else runs.push({ from: piece.from, bytes });
    at = piece.from + bytes.length;
  }
  return runs;
}

function firstLine(bytes: Buffer): Buffer {
  const end = bytes.indexOf(NEWLINE);
  return bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, CARRY));
}

/** Where the first (or last) line with the text begins. Lines are looked at one by one only where it may be: a gigabyte has many. */
function lineWith(buffer: Buffer, wanted: string, last: boolean): number | undefined {
  const text = buffer.toString("utf8").toLowerCase();
  if (!text.includes(wanted) && !text.includes(ESCAPE)) return undefined;
  let found: number | undefined;
  for (let at = 0; at < buffer.length; ) {
    const newline = buffer.indexOf(NEWLINE, at);
    const end = newline < 0 ? buffer.length : newline;
    if (
      plainText(buffer.toString("utf8", at, end))
        .toLowerCase()
        .includes(wanted)
    ) {
      if (!last) return at;
      found = at;
    }
    at = end + 1;
  }
  return found;
}
