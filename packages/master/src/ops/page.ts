/** Cursors of lists: opaque to clients, the place after which the next page begins. */
import { AppError } from "fleetcron-shared/base/errors";

export function toCursor(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** The place of a cursor; throws `input/usage` when `isPlace` refuses it. */
export function fromCursor<T>(cursor: string | undefined, isPlace: (place: unknown) => place is T): T | undefined {
  if (cursor === undefined) return undefined;
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    place = undefined;
  }
  if (isPlace(place)) return place;
  throw new AppError("input/usage", "the cursor is not one of this list", {
    hint: "take it from `next` of the page before, with the same filters and sort",
  });
}

export function isText(place: unknown): place is string {
  return typeof place === "string";
}

/** Cuts one page out of values that are all at hand, by their key; `-key`: the other way round. */
export function pageByKey<T>(
  values: readonly T[],
  keyOf: (value: T) => string,
  query: { limit: number; cursor?: string | undefined; sort?: "key" | "-key" | undefined },
): { items: T[]; next?: string } {
  const after = fromCursor(query.cursor, isText);
  const isBefore = query.sort === "-key" ? (a: string, b: string) => a > b : (a: string, b: string) => a < b;
  const rest = values
    .filter((value) => after === undefined || isBefore(after, keyOf(value)))
    .sort((a, b) => (isBefore(keyOf(a), keyOf(b)) ? -1 : 1));
  const items = rest.slice(0, query.limit);
  const last = items.at(-1);
  return rest.length > items.length && last !== undefined ? { items, next: toCursor(keyOf(last)) } : { items };
}
