/**
 * Live changes for any number of readers: one ring of the newest ones, filled from the master's views, and a place in it per reader, so a slow reader costs
 * nothing. Each source (a family of keys) tells its changes in order of revision; a place is one revision per source, so it holds at every master. Who asks
 * for what has left the ring, or was never seen here, is told to list again.
 */
import type { Revision } from "fleetcron-shared/store/kv";

export type FeedChange = {
  /** What kind of thing has changed, and which one. */
  readonly kind: string;
  readonly key: string;
  /** Undefined: it belongs to no group. */
  readonly group: string | undefined;
  /** Of what belongs to no group: also for readers who are limited to groups. */
  readonly isOpen?: boolean;
  /** What it is now, at the time of asking; undefined: it is gone. */
  value(): unknown;
};
export type FeedEntry = FeedChange & { readonly seq: number; readonly source: number; readonly revision: Revision };
/** Where a reader stands. Changed by `next`. */
export type FeedPlace = { seq: number; readonly positions: Revision[] };

export type EventFeed = ReturnType<typeof createEventFeed>;

/** About 20 MB with long names. */
const RING = 20_000;

/** `sources`: how far each has come, in the order of the positions of a place. */
export function createEventFeed(sources: readonly { revision(): Revision }[], size = RING) {
  const ring = new Map<number, FeedEntry & { readonly position: Revision }>();
  /** Of a thing that has changed several times only the newest change is told. */
  const newest = new Map<string, number>();
  const floors = sources.map((source) => source.revision());
  const last = [...floors];
  let first = 0;
  let end = 0;
  let isOver = false;
  const listeners = new Set<() => void>();

  function drop(until: number): void {
    for (; first < until; first++) {
      const entry = ring.get(first);
      ring.delete(first);
      if (entry === undefined) continue;
      floors[entry.source] = Math.max(floors[entry.source] ?? 0, entry.revision);
      const id = idOf(entry);
      if (newest.get(id) === first) newest.delete(id);
    }
  }

  function wake(): void {
    for (const listener of listeners) listener();
  }

  /** Everything up to now counts as unseen by everybody. */
  function forget(): void {
    drop(end);
    // A gap, so that the places of all readers lie before the beginning.
    first = ++end;
    for (const [index, source] of sources.entries()) {
      floors[index] = source.revision();
      last[index] = source.revision();
    }
    wake();
  }

  return {
    /** Changes of one source, up to `revision`. What does not come in order of revision (a list after a gap) makes all readers list again. */
    add(source: number, changes: readonly FeedChange[], revision: Revision): void {
      const before = last[source] ?? 0;
      if (revision <= before) return forget();
      last[source] = revision;
      for (const [index, change] of changes.entries()) {
        // A reader that has seen only a part of the batch must get all of it again.
        const position = index === changes.length - 1 ? revision : before;
        const entry = { ...change, seq: end, source, revision, position };
        ring.set(end, entry);
        newest.set(idOf(entry), end);
        end += 1;
      }
      drop(end - size);
      wake();
    },
    forget,
    /** Behind everything that was told. */
    here(): FeedPlace {
      return { seq: end, positions: sources.map((source) => source.revision()) };
    },
    /** The place behind these revisions (one for all, or one per source); undefined when changes since then are no longer known. */
    after(positions: readonly Revision[]): FeedPlace | undefined {
      const all = positions.length === 1 ? sources.map(() => positions[0] ?? 0) : [...positions];
      if (all.length !== sources.length || all.some((position, index) => position < (floors[index] ?? 0))) return undefined;
      return { seq: first, positions: all };
    },
    /** The next change behind `place`, which moves on; undefined: there is none yet; `lost`: it has left the ring. */
    next(place: FeedPlace): FeedEntry | "lost" | undefined {
      if (place.seq < first) return "lost";
      while (place.seq < end) {
        const entry = ring.get(place.seq);
        place.seq += 1;
        if (entry === undefined || entry.revision <= (place.positions[entry.source] ?? 0)) continue;
        place.positions[entry.source] = Math.max(entry.position, place.positions[entry.source] ?? 0);
        if (newest.get(idOf(entry)) === entry.seq) return entry;
      }
      for (const [index, source] of sources.entries()) place.positions[index] = Math.max(place.positions[index] ?? 0, source.revision());
      return undefined;
    },
    /** Wakes all readers for the last time. */
    close(): void {
      isOver = true;
      wake();
    },
    isOver: () => isOver,
    /** Calls `fn` after each batch of changes; the returned function ends that. */
    onChange(fn: () => void): () => void {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
}

function idOf(change: FeedChange): string {
  return `${change.kind} ${change.key}`;
}
