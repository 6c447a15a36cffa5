/** The bytes of a log inside of JSON: exact whatever they are, small where they can be squeezed, readable where that costs nothing. Pure. */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { LogChunk } from "../model/facts.ts";

type Packed = Pick<LogChunk, "text" | "base64" | "deflated">;

/** The most that one chunk carries: as base64, with what stands round it, a value stays under 64 KiB. */
export const CHUNK_BYTES = 45 * 1024;
/** Less is not worth squeezing. */
const DEFLATE_FROM = 1024;

/** `bytes` (at most CHUNK_BYTES) in the form that takes least. */
export function packBytes(bytes: Buffer): Packed {
  if (bytes.length === 0) return {};
  const base64Length = (bytes.length * 4) / 3;
  const text = bytes.toString("utf8");
  const textLength = Buffer.from(text).equals(bytes) ? Buffer.byteLength(JSON.stringify(text)) : Number.POSITIVE_INFINITY;
  if (bytes.length >= DEFLATE_FROM) {
    const deflated = deflateRawSync(bytes, { level: 1 });
    if ((deflated.length * 4) / 3 < Math.min(textLength, base64Length) * 0.75) return { deflated: deflated.toString("base64") };
  }
  return textLength <= base64Length + 64 ? { text } : { base64: bytes.toString("base64") };
}

export function unpackBytes(packed: Packed): Buffer {
  if (packed.deflated !== undefined) return inflateRawSync(Buffer.from(packed.deflated, "base64"));
  return packed.base64 !== undefined ? Buffer.from(packed.base64, "base64") : Buffer.from(packed.text ?? "", "utf8");
}

/** The bytes at the end that begin a character of UTF-8 without completing it: 0 to 3. */
export function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}
