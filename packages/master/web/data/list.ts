/** A collection as a page reads it; reading it is what makes it be listed. */
import { useEffect, useMemo } from "preact/hooks";
import type { Collection } from "./collection.ts";

export type List<T> = {
  readonly items: readonly T[];
  readonly state: "idle" | "loading" | "partly" | "ready";
  readonly error: unknown;
};

/** `when`: false puts the listing off, so that what matters more comes first. */
export function useList<T>(collection: Collection<T>, when = true): List<T> {
  useEffect(() => {
    if (when) collection.want();
  }, [collection, when]);
  const map = collection.items.value;
  const items = useMemo(() => [...map.values()], [map]);
  return { items, state: collection.state.value, error: collection.error.value };
}
