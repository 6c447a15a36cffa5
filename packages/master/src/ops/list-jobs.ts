/** Jobs, filtered, sorted and paged, all from memory. */

import type { JobEntry } from "../views.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { fromCursor, toCursor } from "./page.ts";

export type JobSort = "key" | "-key" | "updated" | "-updated" | "next" | "-next";
export type JobQuery = {
  readonly group?: string | undefined;
  readonly label?: string | readonly string[] | undefined;
  readonly sort: JobSort;
  readonly limit: number;
  readonly cursor?: string | undefined;
};

/** Where an entry stands in the order: the sorted value as text, then the key. */
type Place = readonly [value: string, key: string];

/** Jobs without a next tick sort after all others. */
const NEVER = "~";

export function listJobs(deps: Pick<OpsDeps, "views" | "timetable" | "clock">, query: JobQuery): { items: JobEntry[]; next?: string } {
  const by = query.sort.replace("-", "");
  const sign = query.sort.startsWith("-") ? -1 : 1;
  const now = deps.clock.now();
  const sortText = (entry: JobEntry): string => {
    if (by === "updated") return entry.stored.updatedAt;
    if (by === "key") return "";
    const next = entry.job.pause ? undefined : deps.timetable.next(entry.job, now);
    return next === undefined ? NEVER : String(next).padStart(16, "0");
  };
  const after = fromCursor(query.cursor, isPlace);
  const placed = [...deps.views.jobs.entries()]
    .map(([, entry]) => entry)
    .filter(
      (entry) => (query.group === undefined || entry.job.group === query.group) && hasLabels(entry.stored.spec.labels ?? {}, query.label),
    )
    .map((entry) => ({ entry, place: [sortText(entry), entry.job.key] as const }))
    .filter(({ place }) => after === undefined || sign * compare(place, after) > 0)
    .sort((a, b) => sign * compare(a.place, b.place));
  const shown = placed.slice(0, query.limit);
  const items = shown.map(({ entry }) => entry);
  const last = shown.at(-1);
  return placed.length > shown.length && last !== undefined ? { items, next: toCursor(last.place) } : { items };
}

/** Whether all of the `name=value` and `name!=value` texts hold; the latter also without such a label. */
export function hasLabels(labels: Readonly<Record<string, string>>, wanted: string | readonly string[] | undefined): boolean {
  const texts = wanted === undefined ? [] : typeof wanted === "string" ? [wanted] : wanted;
  return texts.every((text) => {
    const [, name = "", not, value] = /^(.*?)(!?)=(.*)$/s.exec(text) ?? [];
    return (Object.hasOwn(labels, name) && labels[name] === value) !== (not === "!");
  });
}

function compare(a: Place, b: Place): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] === b[1] ? 0 : a[1] < b[1] ? -1 : 1;
}

function isPlace(place: unknown): place is Place {
  return Array.isArray(place) && place.length === 2 && place.every((part) => typeof part === "string");
}
