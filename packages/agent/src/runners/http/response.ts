/** What comes back: its line and headers for the log, its body decompressed into the log with backpressure and bounds, its beginning for `expectBody`. */
import type { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { formatSize } from "fleetcron-shared/base/size";
import { failed } from "./failure.ts";

export type HttpLimits = {
  /** Of the body, decompressed: more is read, but not logged. */
  readonly loggedBytes: number;
  /** Of the body, as sent or decompressed: more is not read. */
  readonly bodyBytes: number;
};

export const HTTP_LIMITS: HttpLimits = { loggedBytes: 64 * 1024 * 1024, bodyBytes: 1024 * 1024 * 1024 };
/** How much `expectBody` sees. */
const MATCHED_BYTES = 1024 * 1024;
const MAX_ENCODINGS = 3;
const DAY_MS = 86_400_000;

type Headers = Readonly<Record<string, string | string[] | undefined>>;
/** Those that help to understand what came; never those that may hold credentials. */
const LOGGED_HEADERS = [
  "content-type",
  "content-length",
  "content-encoding",
  "retry-after",
  "allow",
  "www-authenticate",
  "x-request-id",
  "request-id",
];

export type Answer = {
  readonly status: number;
  readonly reason: string;
  readonly tookMs: number;
  readonly headers: Headers;
  readonly body: Readable;
};

export function one(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** `HTTP/1.1 200 OK (123 ms)`. */
export function statusLine({ status, reason, tookMs }: Answer): string {
  return `HTTP/1.1 ${status}${reason === "" ? "" : ` ${reason}`} (${Math.round(tookMs)} ms)`.replace(/\p{Cc}/gu, "");
}

export function headerLines({ headers }: Answer): string {
  const lines = LOGGED_HEADERS.map((name) => [name, one(headers, name)] as const).filter(([, value]) => value !== undefined);
  return lines.map(([name, value]) => `${name}: ${value?.replace(/\p{Cc}/gu, "")}\n`).join("");
}

/** How long the server asks not to be called again: seconds or an HTTP date, at most a day. Only where it means that (RFC 9110, RFC 6585). */
export function retryAfterMs({ status, headers }: Answer, nowMs: number): number | undefined {
  const text = one(headers, "retry-after")?.trim();
  if (text === undefined || (status !== 429 && status !== 503)) return undefined;
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, DAY_MS);
  const at = /^[A-Z][a-z]+,? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - nowMs), DAY_MS);
}

/** Writes the body; gives its beginning. Throws HttpFailure (`http/tooLarge`), or what ended it. */
export async function readBody(
  deps: { write: (bytes: Uint8Array) => Promise<void>; where: string; limits: HttpLimits; signal: AbortSignal },
  { headers, body }: Answer,
): Promise<Buffer> {
  const { where, limits, signal } = deps;
  const head: Buffer[] = [];
  let [raw, seen, last] = [0, 0, 10];
  const bound = (size: number) => {
    if (size > limits.bodyBytes)
      throw failed("http/tooLarge", `${where}: the body is larger than ${formatSize(limits.bodyBytes)}; the beginning is in the log`);
  };
  async function* counted(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      raw += chunk.length;
      bound(raw);
      yield chunk;
    }
  }
  async function take(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      const before = seen;
      seen += chunk.length;
      if (before < MATCHED_BYTES) head.push(chunk.subarray(0, MATCHED_BYTES - before));
      const logged = chunk.subarray(0, Math.max(0, limits.loggedBytes - before));
      if (logged.length > 0) await deps.write(logged);
      last = logged.at(-1) ?? last;
      if (before <= limits.loggedBytes && seen > limits.loggedBytes)
        await deps.write(Buffer.from(`\n[only the first ${formatSize(limits.loggedBytes)} of the body are logged]\n`));
      bound(seen);
    }
  }
  try {
    await pipeline([body, counted, ...decoders(one(headers, "content-encoding")), take] as never, { signal });
  } catch (thrown) {
    // A body that is said to be compressed, and is empty: of HEAD, 204, 304.
    if (raw > 0 || (thrown as NodeJS.ErrnoException).code !== "Z_BUF_ERROR") throw thrown;
  }
  if (last !== 10) await deps.write(Buffer.from("\n"));
  return Buffer.concat(head);
}

/** What takes the encodings off again, the last one first. Encodings that are not known stay. */
function decoders(encoding = ""): Transform[] {
  const names = encoding
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity");
  if (names.length > MAX_ENCODINGS) throw failed("http/protocol", `the body is compressed ${names.length} times over`);
  const made = names.reverse().map((name) => DECODERS[name]?.());
  return made.every((decoder) => decoder !== undefined) ? made : [];
}

// What a slow or dripping server has sent so far goes into the log at once.
const gzip = () => createGunzip({ flush: constants.Z_SYNC_FLUSH });
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip,
  "x-gzip": gzip,
  deflate: () => createInflate({ flush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdDecompress(),
};
