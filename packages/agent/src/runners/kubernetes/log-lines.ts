/**
 * The lines of one container's log across several readings. The server can only be asked for lines since a second, so after a cut the lines of that second come
 * again: they are known by their time stamps and left out. A line counts once it has come whole.
 */

export type LogLines = {
  /** The whole lines in `chunk` that are new, without their time stamps, each with its line end. */
  take(chunk: Uint8Array): Uint8Array[];
  /** The stream was cut: half a line is forgotten, for it will come again. */
  cut(): void;
  /** The stream has ended as the container did: its last line may have no line end. */
  end(): Uint8Array[];
  /** What to ask the server for, and what to begin with after a crash: the time stamp of the newest line. */
  readonly since: string | undefined;
};

const LF = 0x0a;
const SPACE = 0x20;
/** Longer lines are passed on in pieces. */
const MAX_LINE = 1 << 20;
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** `since`: lines up to this time stamp were taken by somebody who is gone. */
export function createLogLines(since?: string): LogLines {
  const floor = since === undefined ? undefined : stampKey(since);
  let newest = floor === undefined ? undefined : { key: floor, stamp: since ?? "" };
  /** Of the newest seconds: how often each time stamp was taken. */
  let taken = new Map<string, number>();
  /** How many of them come again in the present reading. */
  let again = new Map<string, number>();
  let rest: Uint8Array = new Uint8Array();
  /** A piece of the present line was passed on already; the rest follows without a stamp. */
  let pieces = false;

  function line(bytes: Uint8Array): Uint8Array | undefined {
    if (pieces) return bytes;
    const space = bytes.subarray(0, 64).indexOf(SPACE);
    const stamp = Buffer.from(bytes.subarray(0, Math.max(space, 0))).toString("latin1");
    const key = stampKey(stamp);
    if (key === undefined) return bytes;
    const text = bytes.subarray(space + 1);
    if (floor !== undefined && key <= floor) return undefined;
    const repeats = again.get(key) ?? 0;
    if (repeats > 0) {
      again.set(key, repeats - 1);
      return undefined;
    }
    taken.set(key, (taken.get(key) ?? 0) + 1);
    if (newest === undefined || key > newest.key) {
      if (newest !== undefined && secondOf(key) !== secondOf(newest.key)) prune(secondOf(key));
      newest = { key, stamp };
    }
    return text;
  }

  /** Lines of two streams of a container may be a little out of order, so the second before is kept too. */
  function prune(second: string): void {
    const oldest = String(Number(second) - 1).padStart(second.length, "0");
    taken = new Map([...taken].filter(([key]) => secondOf(key) >= oldest));
  }

  return {
    take(chunk) {
      const lines: Uint8Array[] = [];
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF)) {
        const one = line(bytes.subarray(0, at + 1));
        if (one !== undefined) lines.push(one);
        pieces = false;
        bytes = bytes.subarray(at + 1);
      }
      if (bytes.length > MAX_LINE) {
        const piece = line(bytes);
        if (piece !== undefined) {
          lines.push(piece);
          pieces = true;
          bytes = new Uint8Array();
        }
      }
      rest = bytes;
      return lines;
    },
    cut() {
      rest = new Uint8Array();
      pieces = false;
      again = new Map(taken);
    },
    end() {
      const last = rest.length === 0 ? undefined : line(rest);
      rest = new Uint8Array();
      return last === undefined || last.length === 0 ? [] : [last];
    },
    get since() {
      return newest?.stamp;
    },
  };
}

/** The second that the server is asked for: it drops fractions, and lines may be a little out of order. */
export function sinceSecond(stamp: string): string {
  return new Date(Math.floor(Date.parse(stamp) / 1000) * 1000 - 1000).toISOString().replace(".000Z", "Z");
}

/** Time stamps in a form that sorts. */
function stampKey(stamp: string): string | undefined {
  const match = STAMP.exec(stamp);
  if (match === null) return undefined;
  const seconds = Date.parse(`${match[1]}${match[3]}`) / 1000;
  return Number.isNaN(seconds) ? undefined : `${String(seconds).padStart(12, "0")}.${(match[2] ?? "").padEnd(9, "0")}`;
}

function secondOf(key: string): string {
  return key.slice(0, key.indexOf("."));
}
