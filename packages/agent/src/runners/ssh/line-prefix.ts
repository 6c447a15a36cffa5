/** Output of several hosts in one log: each line whole and with its host before it. */

const MAX_LINE = 64 * 1024;

export type LineWriter = {
  write(bytes: Buffer): Promise<void>;
  /** The last line, if it has no end, gets one. */
  end(): Promise<void>;
};

/** A line longer than 64 KiB is cut into several. */
export function prefixLines(prefix: string, write: (bytes: Uint8Array) => Promise<void>): LineWriter {
  const head = Buffer.from(prefix);
  let rest = Buffer.alloc(0);
  const lineEnd = Buffer.from("\n");
  return {
    async write(bytes) {
      const parts: Buffer[] = [];
      let from = 0;
      for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, from)) {
        parts.push(head, rest, bytes.subarray(from, at + 1));
        rest = Buffer.alloc(0);
        from = at + 1;
      }
      rest = Buffer.concat([rest, bytes.subarray(from)]);
      while (rest.length >= MAX_LINE) {
        parts.push(head, rest.subarray(0, MAX_LINE), lineEnd);
        rest = rest.subarray(MAX_LINE);
      }
      if (parts.length > 0) await write(Buffer.concat(parts));
    },
    async end() {
      if (rest.length > 0) await write(Buffer.concat([head, rest, lineEnd]));
      rest = Buffer.alloc(0);
    },
  };
}
