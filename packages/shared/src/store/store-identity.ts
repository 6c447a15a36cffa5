/**
 * Whether etcd is still the store that it was. What a majority answers never goes back, so a lower revision, or another cluster's id, means that etcd was wiped,
 * exchanged or restored from a backup. Pure but for what it holds.
 */
import type { Revision } from "./kv.ts";

/** What every answer says of the store. */
export type Header = { readonly revision: Revision; readonly clusterId: string };

export type StoreIdentity = {
  /** Before a question to the majority is sent; the returned function takes the header of its answer. */
  asks(): (header: Header) => void;
  /** A watch has told of this revision: it has been reached. */
  saw(revision: Revision): void;
  /** Calls `fn` when etcd has turned out to be another; the returned function ends that. */
  onReplaced(fn: () => void): () => void;
};

export function createStoreIdentity(): StoreIdentity {
  const listeners = new Set<() => void>();
  let clusterId: string | undefined;
  let newest: Revision = 0;
  /** Answers to what was asked before etcd was found to be another say nothing. */
  let era = 0;
  return {
    asks() {
      const asked = { newest, era };
      return (header) => {
        if (asked.era !== era) return;
        const { revision } = header;
        const isAnother = revision < asked.newest || (clusterId !== undefined && header.clusterId !== clusterId);
        clusterId = header.clusterId;
        newest = isAnother ? revision : Math.max(newest, revision);
        if (!isAnother) return;
        era += 1;
        for (const listener of [...listeners]) listener();
      };
    },
    saw(revision) {
      newest = Math.max(newest, revision);
    },
    onReplaced(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
}
