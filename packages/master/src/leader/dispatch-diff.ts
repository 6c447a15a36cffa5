/** What must be written so that the dispatches of one job become what they should be, cut into transactions that etcd accepts. Pure. */
import type { Compare, Op } from "fleetcron-shared/store/kv";
import { absent, MAX_TXN_BYTES, MAX_TXN_OPS, unchanged } from "fleetcron-shared/store/kv";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { JobEntry } from "../views.ts";
import type { DesiredGroup } from "./desired.ts";

/** What is known of a dispatch in etcd. */
export type ActualDispatch = { readonly revision: number; readonly rules: string };

/** The operations for one job, and the condition under which they are right. */
export type JobDiff = { readonly condition: Compare; readonly ops: readonly Op[] };

/** Undefined when nothing differs. `entry` undefined: the job is deleted, so every dispatch of it goes. */
export function diffJob(
  keys: Keys,
  ref: { group: string; id: string },
  entry: JobEntry | undefined,
  desired: readonly DesiredGroup[],
  actual: ReadonlyMap<string, ActualDispatch> | undefined,
): JobDiff | undefined {
  const ops: Op[] = [];
  const wanted = new Set<string>();
  for (const group of entry === undefined ? [] : desired) {
    let value: string | undefined;
    for (const node of group.nodes) {
      wanted.add(node);
      const held = actual?.get(node);
      if (held !== undefined && held.revision === entry?.job.revision && held.rules === group.rules) continue;
      value ??= entry === undefined ? "" : dispatchText(entry, group.rules);
      ops.push({ op: "put", key: keys.dispatch(node, ref.group, ref.id), value });
    }
  }
  for (const node of actual?.keys() ?? []) {
    if (!wanted.has(node)) ops.push({ op: "delete", key: keys.dispatch(node, ref.group, ref.id) });
  }
  if (ops.length === 0) return undefined;
  const key = keys.job(ref.group, ref.id);
  return { condition: entry === undefined ? absent(key) : unchanged(key, entry.job.revision), ops };
}

/** The text of a `Dispatch` (model/facts.ts). */
function dispatchText(entry: JobEntry, rules: string): string {
  const { group, id, createdAt, updatedAt, submittedAt, spec } = entry.stored;
  const base = JSON.stringify({ v: 1, group, id, revision: entry.job.revision, createdAt, updatedAt, submittedAt, spec });
  return `${base.slice(0, -1)},"rules":${rules}}`;
}

/** A transaction's worth of changes. `jobs` says whose. */
export type Batch = { readonly if: Compare[]; readonly then: Op[]; readonly jobs: Set<string> };

/** Packs the diffs, in order, into as few transactions as fit; one compare is left free for the term. */
export function packBatches(diffs: Iterable<readonly [job: string, diff: JobDiff]>): Batch[] {
  const batches: Batch[] = [];
  let batch: Batch | undefined;
  let bytes = 0;
  for (const [job, diff] of diffs) {
    for (const op of diff.ops) {
      const size = op.key.length + (op.op === "put" ? Buffer.byteLength(op.value) : 0);
      const isFull = batch === undefined || batch.then.length >= MAX_TXN_OPS || bytes + size > MAX_TXN_BYTES;
      if (batch === undefined || isFull || (!batch.jobs.has(job) && batch.if.length >= MAX_TXN_OPS - 1)) {
        batch = { if: [], then: [], jobs: new Set() };
        batches.push(batch);
        bytes = 0;
      }
      if (!batch.jobs.has(job)) {
        batch.jobs.add(job);
        batch.if.push(diff.condition);
      }
      batch.then.push(op);
      bytes += size;
    }
  }
  return batches;
}
