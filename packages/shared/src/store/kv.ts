/**
 * The port to the key-value store: what Fleetcron needs of etcd and nothing more. Adapters: etcd-kv.ts (real), memory-kv.ts (tests,
 * simulation); both pass kv-contract.ts. Every call has a deadline of its own. Failures are AppErrors:
 * `etcd/unreachable` (not sent, safe to retry), `etcd/unknown-outcome` (a write may have happened: read back before retrying; reads use
 * `etcd/unreachable` instead), `etcd/refused`, `etcd/tls`, `etcd/compacted`, `etcd/lease-gone`, `etcd/closed`.
 */

/** Store-wide, grows with every write. Fits a double. */
export type Revision = number;
/** A 64-bit lease id as decimal text. */
export type LeaseId = string;

export type KeyValue = {
  readonly key: string;
  readonly value: string;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly version: number;
  /** Undefined when the key lives for ever. */
  readonly lease: LeaseId | undefined;
};

export type Compare =
  | {
      readonly key: string;
      readonly target: "createRevision" | "modRevision" | "version";
      readonly is: "=" | "!=" | ">" | "<";
      readonly value: number;
    }
  | { readonly key: string; readonly target: "value"; readonly is: "=" | "!="; readonly value: string }
  | { readonly key: string; readonly target: "lease"; readonly is: "=" | "!="; readonly value: LeaseId | undefined };

export type Op =
  | { readonly op: "put"; readonly key: string; readonly value: string; readonly lease?: LeaseId | undefined }
  | { readonly op: "delete"; readonly key: string }
  /** Deletes [key, end). */
  | { readonly op: "deleteRange"; readonly key: string; readonly end: string }
  | { readonly op: "get"; readonly key: string };

export type OpResult =
  | { readonly op: "put" }
  | { readonly op: "delete" | "deleteRange"; readonly deleted: number }
  | { readonly op: "get"; readonly kv: KeyValue | undefined };

export type Txn = { readonly if?: readonly Compare[]; readonly then: readonly Op[]; readonly else?: readonly Op[] };
export type TxnResult = { readonly succeeded: boolean; readonly revision: Revision; readonly results: readonly OpResult[] };

export type RangeQuery = {
  /** Reads [start, end). */
  readonly start: string;
  readonly end: string;
  readonly limit?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  /** Descending by key. */
  readonly reverse?: boolean;
  /** Read the past as of this revision. */
  readonly revision?: Revision;
};
export type RangeResult = {
  readonly kvs: readonly KeyValue[];
  /** The store's revision at the read (or the asked one). */
  readonly revision: Revision;
  readonly more: boolean;
  readonly count: number;
  readonly clusterId: string;
};

export type WatchEvent =
  | { readonly type: "put"; readonly kv: KeyValue }
  | { readonly type: "delete"; readonly key: string; readonly modRevision: Revision };

/** How a watch ended. It never heals by itself: `mirror.ts` lists and watches again. `compacted`: the asked revision is gone. */
export type WatchEnd = { readonly reason: "closed" | "compacted" | "error" | "otherCluster"; readonly error?: Error };

export type WatchHandlers = {
  /** Etcd has accepted the watch; events follow. */
  onStarted?(): void;
  /** A batch in order of revision; all events of one revision come in one batch. */
  onEvents(events: readonly WatchEvent[], revision: Revision): void;
  /** Nothing happened up to this revision (progress mark). */
  onProgress?(revision: Revision): void;
  /** Called exactly once, after which no other handler is called. */
  onEnd(end: WatchEnd): void;
};

export type Kv = {
  get(key: string): Promise<KeyValue | undefined>;
  range(query: RangeQuery): Promise<RangeResult>;
  /** At most MAX_TXN_OPS compares and MAX_TXN_OPS operations a branch; a key at most once among the puts and deletes of a branch. */
  txn(txn: Txn): Promise<TxnResult>;
  /** A live stream of changes of [start, end) from `fromRevision` (inclusive) on. The returned function closes it (idempotent; `onEnd` gets `closed`). */
  watch(query: { start: string; end: string; fromRevision: Revision; clusterId?: string }, handlers: WatchHandlers): () => void;
  /** A new lease; `ttlMs` is rounded up to whole seconds, the granted one comes back. */
  grantLease(ttlMs: number): Promise<{ lease: LeaseId; ttlMs: number }>;
  /** One keep-alive, resolved by its acknowledgement with the renewed TTL; `etcd/lease-gone` when the lease is no more. */
  keepAlive(lease: LeaseId): Promise<{ ttlMs: number }>;
  revokeLease(lease: LeaseId): Promise<void>;
  /**
   * Calls `fn` when etcd has turned out to be wiped, exchanged or restored from a backup: what was written last is gone, and what was deleted may be there again.
   * The returned function ends that.
   */
  onReplaced(fn: () => void): () => void;
  /** Ends everything: streams get `closed`, later calls fail with `etcd/closed`. Idempotent. */
  close(): Promise<void>;
};

/** etcd's `--max-txn-ops` default. */
export const MAX_TXN_OPS = 128;
/** etcd's `--max-request-bytes` default is 1.5 MiB; we stay well under it. */
export const MAX_TXN_BYTES = 1024 * 1024;

/** The end of the range of all keys that begin with `prefix`. */
export function prefixEnd(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/** [prefix, prefixEnd(prefix)) for `range` and `watch`. */
export function prefixRange(prefix: string): { start: string; end: string } {
  return { start: prefix, end: prefixEnd(prefix) };
}

/** Compare: the key does not exist. */
export function absent(key: string): Compare {
  return { key, target: "createRevision", is: "=", value: 0 };
}

/** Compare: the key exists. */
export function exists(key: string): Compare {
  return { key, target: "createRevision", is: ">", value: 0 };
}

/** Compare: nobody has written the key since `revision`. */
export function unchanged(key: string, revision: Revision): Compare {
  return { key, target: "modRevision", is: "=", value: revision };
}

/** Compare: it is still the same incarnation of the key (a fence). */
export function sameIncarnation(key: string, createRevision: Revision): Compare {
  return { key, target: "createRevision", is: "=", value: createRevision };
}
