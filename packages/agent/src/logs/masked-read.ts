/** Reads a part of a log as it may leave the node: secrets are overwritten, also where the ends of the part would split them. */
import { CHUNK_BYTES, unfinishedBytes } from "fleetcron-shared/wire/log-chunk";
import type { Masker } from "./masker.ts";
import type { LogReader, Piece } from "./reader.ts";

/** Bytes ready to be shown: masked, and without what may turn out to be the beginning of a secret or is half a character, unless nothing more comes. */
export async function readMasked(masker: Masker | undefined, log: LogReader, at: number, length: number, mayGrow: boolean): Promise<Piece> {
  if (length === 0) return { from: at, bytes: Buffer.alloc(0) };
  const reach = masker === undefined ? 0 : masker.longest - 1;
  const piece = await log.read(at, length + reach);
  let { bytes } = piece;
  if (masker !== undefined) {
    const start = Math.max(0, piece.from - reach);
    const before = start === piece.from ? undefined : await log.read(start, piece.from - start);
    const prefix = before !== undefined && before.from + before.bytes.length === piece.from ? before.bytes : Buffer.alloc(0);
    const window = Buffer.concat([prefix, bytes]);
    const open = mayGrow && bytes.length < length + reach ? masker.open(window) : 0;
    bytes = masker.mask(window).subarray(prefix.length, Math.max(prefix.length, window.length - open));
  }
  bytes = bytes.subarray(0, length);
  const unfinished = unfinishedBytes(bytes);
  return {
    from: piece.from,
    bytes: (mayGrow || length === CHUNK_BYTES) && unfinished < bytes.length ? bytes.subarray(0, bytes.length - unfinished) : bytes,
  };
}
