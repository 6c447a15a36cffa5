/**
 * The data of the in-memory store: a small multi-version map with etcd's rules for revisions, versions, transactions, leases and compaction.
 * Synchronous and without faults; memory-kv.ts adds connections, time and failures. Invariant: `batchAt(r)` is the whole of revision `r`, for
 * every `r` in (compacted, revision].
 */
import { AppError } from "../base/errors.ts";
import { placeOf } from "../base/sorted.ts";
import type { Txn, TxnResult, WatchEvent } from "./kv.ts";
import {
  type Compare,
  type KeyValue,
  type LeaseId,
  MAX_TXN_OPS,
  type Op,
  type OpResult,
  type RangeQuery,
  type RangeResult,
  type Revision,
} from "./kv.ts";

type Version = { readonly revision: Revision; readonly kv: KeyValue | undefined };
/** What a key has been, oldest first. */
type History = { readonly key: string; readonly versions: Version[] };

/** etcd's first revision: that of an empty store. */
const FIRST_REVISION = 1;

/** One incarnation of a store; a wiped store is a new MemoryState with another cluster id. */
export class MemoryState {
  readonly clusterId: string;
  revision: Revision = FIRST_REVISION;
  compacted: Revision = 0;
  readonly #histories = new Map<string, History>();
  /** The same, sorted by key. */
  readonly #sorted: History[] = [];
  readonly #log: (readonly WatchEvent[])[] = [];
  #logStart: Revision = FIRST_REVISION + 1;
  readonly #leases = new Map<LeaseId, Set<string>>();
  #pending: WatchEvent[] = [];

  constructor(clusterId: string) {
    this.clusterId = clusterId;
  }

  range(query: RangeQuery): RangeResult {
    const revision = query.revision ?? this.revision;
    if (revision > this.revision) throw new AppError("etcd/refused", `etcd has no revision ${revision} yet, it is at ${this.revision}`);
    if (revision < this.compacted)
      throw new AppError("etcd/compacted", `revision ${revision} is compacted away, the oldest is ${this.compacted}`);
    const found: KeyValue[] = [];
    for (const history of this.#between(query.start, query.end)) {
      const kv = at(history, revision);
      if (kv) found.push(kv);
    }
    if (query.reverse) found.reverse();
    const limit = query.countOnly ? 0 : query.limit === undefined || query.limit === 0 ? found.length : query.limit;
    const kvs = found.slice(0, limit).map((kv) => (query.keysOnly ? { ...kv, value: "" } : kv));
    return { kvs, revision, more: !query.countOnly && found.length > kvs.length, count: found.length, clusterId: this.clusterId };
  }

  get(key: string): KeyValue | undefined {
    const history = this.#histories.get(key);
    return history && at(history, this.revision + 1);
  }

  txn(txn: Txn): TxnResult {
    const branches = [txn.then, txn.else ?? []];
    if ([txn.if ?? [], ...branches].some((part) => part.length > MAX_TXN_OPS)) {
      throw new AppError("etcd/refused", `etcd refused the transaction: too many operations (at most ${MAX_TXN_OPS} in each part)`);
    }
    for (const branch of branches) refuseDuplicates(branch);
    const succeeded = (txn.if ?? []).every((compare) => this.#holds(compare));
    const ops = succeeded ? txn.then : (txn.else ?? []);
    for (const op of ops) {
      if (op.op === "put" && op.lease !== undefined && !this.#leases.has(op.lease))
        throw new AppError("etcd/lease-gone", `the lease ${op.lease} does not exist`);
    }
    const results = ops.map((op) => this.#apply(op));
    this.#commit();
    return { succeeded, revision: this.revision, results };
  }

  grant(lease: LeaseId): void {
    this.#leases.set(lease, new Set());
  }

  hasLease(lease: LeaseId): boolean {
    return this.#leases.has(lease);
  }

  /** Removes the lease and, in one revision, its keys. */
  revoke(lease: LeaseId): void {
    const keys = this.#leases.get(lease);
    if (!keys) return;
    for (const key of [...keys].sort()) this.#write(key, undefined);
    this.#leases.delete(lease);
    this.#commit();
  }

  /** Forgets what came before `revision`; the state at `revision` stays readable. */
  compact(revision: Revision): void {
    if (revision > this.revision) throw new AppError("etcd/refused", `cannot compact at ${revision}, the store is at ${this.revision}`);
    if (revision <= this.compacted) return;
    this.compacted = revision;
    for (const { key, versions } of this.#histories.values()) {
      const keep = versions.findLastIndex((version) => version.revision <= revision);
      if (keep > 0) versions.splice(0, keep);
      if (versions.length === 1 && versions[0]?.kv === undefined) {
        this.#histories.delete(key);
        this.#sorted.splice(this.#position(key), 1);
      }
    }
    this.#log.splice(0, Math.max(0, revision - this.#logStart));
    this.#logStart = Math.max(this.#logStart, revision);
  }

  /** The events of one revision, in order. */
  batchAt(revision: Revision): readonly WatchEvent[] {
    return this.#log[revision - this.#logStart] ?? [];
  }

  #between(start: string, end: string): readonly History[] {
    return this.#sorted.slice(this.#position(start), this.#position(end));
  }

  #position(key: string): number {
    return placeOf(this.#sorted, (history) => history.key < key);
  }

  #holds(compare: Compare): boolean {
    const kv = this.get(compare.key);
    if (compare.target === "value") return kv !== undefined && (kv.value === compare.value) === (compare.is === "=");
    if (compare.target === "lease") return (kv?.lease === compare.value) === (compare.is === "=");
    const actual = kv?.[compare.target] ?? 0;
    if (compare.is === "=") return actual === compare.value;
    if (compare.is === "!=") return actual !== compare.value;
    return compare.is === ">" ? actual > compare.value : actual < compare.value;
  }

  #apply(op: Op): OpResult {
    if (op.op === "get") return { op: "get", kv: this.get(op.key) };
    if (op.op === "put") {
      const old = this.get(op.key);
      const modRevision = this.revision + 1;
      const created = { createRevision: old?.createRevision ?? modRevision, modRevision, version: (old?.version ?? 0) + 1 };
      this.#write(op.key, { key: op.key, value: op.value, ...created, lease: op.lease });
      return { op: "put" };
    }
    const keys = op.op === "delete" ? [op.key] : this.#between(op.key, op.end).map(({ key }) => key);
    const present = keys.filter((key) => this.get(key) !== undefined);
    for (const key of present) this.#write(key, undefined);
    return { op: op.op, deleted: present.length };
  }

  #write(key: string, kv: KeyValue | undefined): void {
    const old = this.get(key);
    if (old?.lease !== undefined) this.#leases.get(old.lease)?.delete(key);
    if (kv?.lease !== undefined) this.#leases.get(kv.lease)?.add(key);
    const revision = this.revision + 1;
    const history = this.#histories.get(key);
    if (history) history.versions.push({ revision, kv });
    else {
      const added = { key, versions: [{ revision, kv }] };
      this.#histories.set(key, added);
      this.#sorted.splice(this.#position(key), 0, added);
    }
    this.#pending.push(kv ? { type: "put", kv } : { type: "delete", key, modRevision: revision });
  }

  #commit(): void {
    if (this.#pending.length === 0) return;
    this.revision += 1;
    this.#log.push(this.#pending);
    this.#pending = [];
  }
}

/** As etcd does: a key may be written once in a branch, and not lie in a deleted range as well. */
function refuseDuplicates(ops: readonly Op[]): void {
  const written = new Set<string>();
  for (const op of ops) {
    if (op.op !== "put") continue;
    const deleted = ops.some(
      (other) =>
        (other.op === "delete" && other.key === op.key) || (other.op === "deleteRange" && other.key <= op.key && op.key < other.end),
    );
    if (written.has(op.key) || deleted) throw new AppError("etcd/refused", `etcd refused the transaction: duplicate key ${op.key}`);
    written.add(op.key);
  }
}

function at({ versions }: History, revision: Revision): KeyValue | undefined {
  const newest = versions.at(-1);
  if (newest !== undefined && newest.revision <= revision) return newest.kv;
  return versions.findLast((version) => version.revision <= revision)?.kv;
}
