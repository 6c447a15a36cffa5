/** etcd's messages to ours and back: bytes ↔ text, 64-bit integers that come as text ↔ numbers. No I/O. */
import type { Compare, KeyValue, Op, OpResult, RangeQuery, WatchEvent } from "./kv.ts";

/** The parts of etcd's messages that we read; the client library types more (and fewer) than these. */
export type WireKeyValue = { key: Buffer; value: Buffer; create_revision: string; mod_revision: string; version: string; lease: string };
export type WireEvent = { type: "Put" | "Delete" | number; kv: WireKeyValue };
export type WireWatchResponse = {
  header: { cluster_id: string; revision: string };
  created: boolean;
  canceled: boolean;
  compact_revision: string;
  cancel_reason: string;
  fragment: boolean;
  events: WireEvent[];
};
type WireResponse = { response_range?: { kvs: WireKeyValue[] } | null; response_delete_range?: { deleted: string } | null };

export function toKeyValue(kv: WireKeyValue): KeyValue {
  return {
    key: kv.key.toString(),
    value: kv.value.toString(),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    version: Number(kv.version),
    lease: kv.lease === "0" ? undefined : kv.lease,
  };
}

export function toWatchEvent(event: WireEvent): WatchEvent {
  const isPut = event.type === "Put" || event.type === 0;
  return isPut
    ? { type: "put", kv: toKeyValue(event.kv) }
    : { type: "delete", key: event.kv.key.toString(), modRevision: Number(event.kv.mod_revision) };
}

export function fromRangeQuery(query: RangeQuery) {
  return {
    key: Buffer.from(query.start),
    range_end: Buffer.from(query.end),
    limit: query.limit ?? 0,
    revision: query.revision ?? 0,
    keys_only: query.keysOnly ?? false,
    count_only: query.countOnly ?? false,
    ...(query.reverse ? { sort_order: "Descend" as const, sort_target: "Key" as const } : {}),
  };
}

const RESULTS = { "=": "Equal", "!=": "NotEqual", ">": "Greater", "<": "Less" } as const;

export function fromCompare(compare: Compare) {
  const common = { key: Buffer.from(compare.key), result: RESULTS[compare.is] };
  switch (compare.target) {
    case "createRevision":
      return { ...common, target: "Create" as const, create_revision: compare.value };
    case "modRevision":
      return { ...common, target: "Mod" as const, mod_revision: compare.value };
    case "version":
      return { ...common, target: "Version" as const, version: compare.value };
    case "value":
      return { ...common, target: "Value" as const, value: Buffer.from(compare.value) };
    case "lease":
      return { ...common, target: "Lease" as const, lease: compare.value ?? "0" };
  }
}

export function fromOp(op: Op) {
  const key = Buffer.from(op.key);
  switch (op.op) {
    case "put":
      return { request_put: { key, value: Buffer.from(op.value), ...(op.lease === undefined ? {} : { lease: op.lease }) } };
    case "delete":
      return { request_delete_range: { key } };
    case "deleteRange":
      return { request_delete_range: { key, range_end: Buffer.from(op.end) } };
    case "get":
      return { request_range: { key } };
  }
}

export function toOpResult(op: Op, response: WireResponse | undefined): OpResult {
  if (op.op === "put") return { op: "put" };
  if (op.op !== "get") return { op: op.op, deleted: Number(response?.response_delete_range?.deleted ?? 0) };
  const found = response?.response_range?.kvs[0];
  return { op: "get", kv: found && toKeyValue(found) };
}
