/** Finds the next line with a text: in what is loaded first, then where the log is. */
import { plainText } from "fleetcron-shared/model/plain-text";
import type { LogView } from "./log-view.ts";
import { type LogLine, shownLines } from "./log-window.ts";

export type Found = { readonly offset: number } | undefined;

/** `from`: the offset of the line to begin behind (or before). Throws what asking throws. */
export async function findInLog(
  view: LogView,
  search: { text: string; from: number; direction: "down" | "up" },
  signal: AbortSignal,
): Promise<Found> {
  const { text, from, direction } = search;
  const wanted = text.toLowerCase();
  const has = (line: LogLine) => plainText(line.text).toLowerCase().includes(wanted);
  const held = view.window.value;
  const beyond = (line: LogLine) => (direction === "down" ? line.offset > from : line.offset < from);
  const loaded = shownLines(held).filter(beyond);
  const near = direction === "down" ? loaded.find(has) : loaded.findLast(has);
  if (near !== undefined) return { offset: near.offset };
  const at = direction === "down" ? Math.max(from + 1, held.end - held.rest.length) : Math.min(from, held.start);
  const { offset } = await view.search({ text, from: at, direction }, signal);
  return offset === null ? undefined : { offset };
}
