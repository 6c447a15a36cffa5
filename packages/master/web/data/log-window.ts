/** The lines of a part of a log that is read in ranges of bytes, and grows or moves in both directions. Pure. */

/** `offset`: of its first byte in the log. `cut`: so many bytes are not kept here. */
export type LogLine = { readonly offset: number; readonly text: string; readonly cut?: number };
/** Of [start, end) all lines; `rest` is what stands behind the last line break. */
export type LogWindow = { readonly start: number; readonly end: number; readonly lines: readonly LogLine[]; readonly rest: Uint8Array };
/** `bytes` are those of [offset, next); right before it `skipped` are not kept. */
export type LogPart = { readonly offset: number; readonly next: number; readonly skipped: number; readonly bytes: Uint8Array };

const NEWLINE = 10;
/** Keeps nothing between two calls. */
const DECODER = new TextDecoder();
/** Longer lines are shown in pieces. */
const LONGEST_LINE = 8000;
/** Beyond that what is farther away is dropped. */
export const WINDOW_BYTES = 6_000_000;

export function emptyWindow(at = 0): LogWindow {
  return { start: at, end: at, lines: [], rest: new Uint8Array() };
}

/** With an unfinished last line as a line. */
export function shownLines({ lines, rest, end }: LogWindow): readonly LogLine[] {
  return rest.length === 0 ? lines : [...lines, { offset: end - rest.length, text: decode(rest) }];
}

/** `part` begins where the window ends. */
export function appended(window: LogWindow, part: LogPart): LogWindow {
  let { rest } = window;
  const lines = [...window.lines];
  if (part.skipped > 0) {
    if (rest.length > 0) lines.push({ offset: window.end - rest.length, text: decode(rest) });
    rest = new Uint8Array();
    lines.push({ offset: part.offset - part.skipped, text: "", cut: part.skipped });
  }
  const bytes = joined(rest, part.bytes);
  const { found, left } = split(bytes, part.offset - rest.length);
  for (const line of found) lines.push(line);
  return shortened({ start: window.start, end: part.next, lines, rest: left }, "front");
}

/** `part` ends where the window starts. Before the beginning of the log a first half line is left for the part before. */
export function prepended(window: LogWindow, part: LogPart): LogWindow {
  const first = part.offset === 0 ? 0 : part.bytes.indexOf(NEWLINE) + 1;
  const { found, left } = split(part.bytes.subarray(first), part.offset + first);
  // The window began in the middle of a line that has no end yet.
  if (left.length > 0 && window.lines.length === 0 && window.rest.length > 0) {
    const rest = joined(left, window.rest);
    return { start: part.offset + first, end: window.end, lines: found, rest };
  }
  const last = left.length === 0 ? [] : [{ offset: part.next - left.length, text: decode(left) }];
  const cut = first === 0 && part.skipped > 0 ? [{ offset: part.offset - part.skipped, text: "", cut: part.skipped }] : [];
  return shortened({ ...window, start: part.offset + first, lines: [...cut, ...found, ...last, ...window.lines] }, "back");
}

/** Begins anew with `part`, which may begin in the middle of a line. */
export function openedAt(part: LogPart): LogWindow {
  const first = part.offset === 0 || part.skipped > 0 ? 0 : part.bytes.indexOf(NEWLINE) + 1;
  const begin = part.offset + first;
  return appended(emptyWindow(begin), { ...part, offset: begin, bytes: part.bytes.subarray(first) });
}

function shortened(window: LogWindow, from: "front" | "back"): LogWindow {
  if (window.end - window.start <= WINDOW_BYTES) return window;
  if (from === "front") {
    const index = window.lines.findIndex(({ offset }) => window.end - offset <= WINDOW_BYTES / 2);
    if (index <= 0) return window;
    return { ...window, start: window.lines[index]?.offset ?? window.start, lines: window.lines.slice(index) };
  }
  const index = window.lines.findIndex(({ offset }) => offset - window.start > WINDOW_BYTES / 2);
  if (index <= 0) return window;
  return {
    start: window.start,
    end: window.lines[index]?.offset ?? window.end,
    lines: window.lines.slice(0, index),
    rest: new Uint8Array(),
  };
}

function split(bytes: Uint8Array, offset: number): { found: LogLine[]; left: Uint8Array } {
  const found: LogLine[] = [];
  let from = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, from);
    const to = end === -1 ? bytes.length : end;
    while (to - from > LONGEST_LINE) {
      found.push({ offset: offset + from, text: decode(bytes.subarray(from, from + LONGEST_LINE)) });
      from += LONGEST_LINE;
    }
    if (end === -1) return { found, left: bytes.slice(from) };
    found.push({ offset: offset + from, text: decode(bytes.subarray(from, end)) });
    from = end + 1;
  }
}

/** One behind the other. */
export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function decode(bytes: Uint8Array): string {
  return DECODER.decode(bytes);
}
