/** Finds the next line with a text, in what is loaded first, then through the rest of the log in large ranges. */
import { plainText } from "./ansi.ts";
import type { LogView } from "./log-view.ts";
import { appended, emptyWindow, joined, type LogLine, prepended, shownLines } from "./log-window.ts";

const NEWLINE = 10;
const ESCAPE = String.fromCharCode(27);
/** Of a line without end so much is searched together with what follows. */
const LONGEST_CARRY = 64 * 1024;

export type Found = { readonly offset: number } | undefined;

/** `from`: the offset of the line to begin behind (or before). `tell`: how far it has come. Throws what reading throws. */
export async function findInLog(
  view: LogView,
  search: { text: string; from: number; direction: "down" | "up" },
  signal: AbortSignal,
  tell: (offset: number) => void,
): Promise<Found> {
  const wanted = search.text.toLowerCase();
  const has = (line: LogLine) => plainText(line.text).toLowerCase().includes(wanted);
  const { direction } = search;
  const held = view.window.value;
  const beyond = (line: LogLine) => (direction === "down" ? line.offset > search.from : line.offset < search.from);
  const loaded = shownLines(held).filter(beyond);
  const near = direction === "down" ? loaded.find(has) : loaded.findLast(has);
  if (near !== undefined) return { offset: near.offset };

  const at = direction === "down" ? held.end - held.rest.length : held.start;
  let carry = emptyWindow(at);
  for await (const part of view.scan(at, direction, signal)) {
    if (signal.aborted) return undefined;
    tell(direction === "down" ? part.next : part.offset);
    // Lines are made only where it may be: a gigabyte has many.
    if (direction === "up") {
      const hit = mayHold(part.bytes, wanted) ? shownLines(prepended(emptyWindow(part.next), part)).findLast(has) : undefined;
      if (hit !== undefined) return { offset: hit.offset };
      continue;
    }
    const all = appended(carry, { ...part, bytes: new Uint8Array() }).rest;
    const bytes = joined(all, part.bytes);
    if (mayHold(bytes, wanted)) {
      const hit = shownLines(appended({ ...carry, lines: [] }, part)).find(has);
      if (hit !== undefined) return { offset: hit.offset };
    }
    const left = bytes.subarray(bytes.lastIndexOf(NEWLINE) + 1);
    carry = { ...emptyWindow(part.next), rest: left.slice(-LONGEST_CARRY) };
  }
  return undefined;
}

function mayHold(bytes: Uint8Array, wanted: string): boolean {
  const text = new TextDecoder().decode(bytes).toLowerCase();
  // Within a word that is searched for, colours may change.
  return text.includes(wanted) || (text.includes(ESCAPE) && text.split("\n").some((line) => plainText(line).includes(wanted)));
}
