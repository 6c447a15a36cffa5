/**
 * What a mirror has told its consumer, and the rules by which lists and watch events become differences. Pure bookkeeping, no I/O.
 * Invariants: `known` maps each key that the consumer holds to the revision it was told; everything up to `revision()` has been told;
 * nothing is told twice, late or backwards, also when a list runs beside a watch whose events overtake it or lag behind it.
 */
import type { KeyValue, Revision, WatchEvent } from "./kv.ts";
import type { MirrorEvent } from "./mirror.ts";

/** One pass over all keys at one revision. */
export type ListPass = {
  /** Whether the store is still the one we know. A store that was wiped or exchanged makes everything unknown (false: a running watch must end first). */
  checkStore(clusterId: string, revision: Revision): boolean;
  differs(kv: KeyValue): boolean;
  page(kvs: readonly KeyValue[]): MirrorEvent[];
  finish(revision: Revision): MirrorEvent[];
};

export type MirrorState = ReturnType<typeof createMirrorState>;

export function createMirrorState() {
  const known = new Map<string, Revision>();
  let told: Revision = 0;
  /** Where a watch goes on; undefined: only a list can tell. */
  let next: Revision | undefined;
  let clusterId: string | undefined;
  /** The highest revision ever seen of this store: a lower one means that it was wiped or restored. */
  let horizon: Revision = 0;
  /** Deletes seen by the watch while a list runs, so that the list does not bring those keys back. */
  let tombstones: Map<string, Revision> | undefined;

  function watched(events: readonly WatchEvent[], revision: Revision): MirrorEvent[] {
    const news: MirrorEvent[] = [];
    for (const event of events) {
      const isPut = event.type === "put";
      const [key, modRevision] = isPut ? [event.kv.key, event.kv.modRevision] : [event.key, event.modRevision];
      if (modRevision <= told) continue;
      const held = known.get(key);
      if (isPut) {
        if (held !== undefined && held >= modRevision) continue;
        known.set(key, modRevision);
        news.push({ type: "put", kv: event.kv });
      } else {
        tombstones?.set(key, modRevision);
        if (held === undefined || held > modRevision) continue;
        known.delete(key);
        news.push({ type: "delete", key });
      }
    }
    advance(revision);
    return news;
  }

  function advance(revision: Revision): void {
    told = Math.max(told, revision);
    horizon = Math.max(horizon, revision);
    next = Math.max(next ?? 0, revision + 1);
  }

  /** `watching`: a watch may deliver events while the list is read. */
  function beginList(watching: boolean): ListPass {
    const deleted = new Map<string, Revision>();
    tombstones = deleted;
    const seen = new Set<string>();

    function differs(kv: KeyValue): boolean {
      const held = known.get(kv.key);
      return (held === undefined || held < kv.modRevision) && (deleted.get(kv.key) ?? 0) < kv.modRevision;
    }

    return {
      checkStore(id, revision) {
        const changed = clusterId !== undefined && (id !== clusterId || (!watching && revision < horizon));
        if (changed && watching) return false;
        if (changed) {
          for (const key of known.keys()) known.set(key, 0);
          told = 0;
          horizon = 0;
          next = undefined;
        }
        clusterId = id;
        horizon = Math.max(horizon, revision);
        return true;
      },
      differs,
      page(kvs) {
        const news: MirrorEvent[] = [];
        for (const kv of kvs) {
          seen.add(kv.key);
          if (!differs(kv)) continue;
          known.set(kv.key, kv.modRevision);
          news.push({ type: "put", kv });
        }
        return news;
      },
      finish(revision) {
        const news: MirrorEvent[] = [];
        for (const [key, held] of known) {
          if (seen.has(key) || held > revision) continue;
          known.delete(key);
          news.push({ type: "delete", key });
        }
        advance(revision);
        return news;
      },
    };
  }

  return {
    watched,
    /** Nothing happened up to `revision`. */
    progressed: advance,
    beginList,
    endList() {
      tombstones = undefined;
    },
    /** The next watch cannot go on where the last one ended. */
    loseTrack() {
      next = undefined;
    },
    next: () => next,
    clusterId: () => clusterId,
    revision: () => told,
    isEmpty: () => known.size === 0,
  };
}
