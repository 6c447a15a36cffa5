/** Finds the next line with a text, in what is loaded first, then through the rest of the log in large ranges. */
import { plainText } from "./ansi.ts";
import type { LogView } from "./log-view.ts";
import { appended, emptyWindow, type LogLine, prepended, shownLines } from "./log-window.ts";

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

  let at = direction === "down" ? held.end - held.rest.length : held.start;
  let window = emptyWindow(at);
  for await (const part of view.scan(at, direction, signal)) {
    if (signal.aborted) return undefined;
    if (direction === "down") {
      window = appended({ ...window, start: part.offset, lines: [] }, part);
      at = part.next;
    } else {
      // The half line at the beginning of a range belongs to the range before, which is read up to here again.
      window = prepended(emptyWindow(part.next), part);
      at = window.start;
    }
    tell(at);
    const lines = shownLines(window);
    const found = direction === "down" ? lines.find(has) : lines.findLast(has);
    if (found !== undefined) return { offset: found.offset };
  }
  return undefined;
}
