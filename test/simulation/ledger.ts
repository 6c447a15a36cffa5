/** What went through etcd, seen from inside it: every form of every job, who knew of it when, and every record, also those that retention has removed since. */

import { createHash } from "node:crypto";
import type { Alive, Dispatch, Order } from "fleetcron-shared/model/facts";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import { parseTaskOrderId, type TaskOrder } from "fleetcron-shared/model/pipeline/request";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { Kv, WatchEvent } from "fleetcron-shared/store/kv";
import { decode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { VirtualTime } from "./virtual-time.ts";

/** One form of a job, from when on; `stored` undefined: there is none. */
export type JobForm = { readonly fromMs: number; readonly revision: number; readonly stored: StoredJob | undefined };

export type Ledger = {
  readonly forms: ReadonlyMap<string, readonly JobForm[]>;
  readonly records: ReadonlyMap<string, ExecutionRecord>;
  /** Of pipelines. */
  readonly runs: ReadonlyMap<string, RunDocument>;
  readonly plans: readonly RunPlan[];
  /** By execution: what of which run it is. */
  readonly taskOrders: ReadonlyMap<string, TaskOrder>;
  /** When the node has said that it knows the form; undefined: never. */
  knewAt(node: string, job: string, revision: number): number | undefined;
  /** A hash over all that happened. */
  digest(): string;
  close(): void;
};

type Seen = { readonly atMs: number; readonly revision: number };

export function openLedger(time: VirtualTime, kv: Kv, keys: Keys, trace: (what: string) => void): Ledger {
  const forms = new Map<string, JobForm[]>();
  const records = new Map<string, ExecutionRecord>();
  const runs = new Map<string, RunDocument>();
  const plans: RunPlan[] = [];
  const taskOrders = new Map<string, TaskOrder>();
  /** By node and job: which form was dispatched with which revision. */
  const dispatched = new Map<string, { readonly form: number; readonly revision: number }[]>();
  /** Of each node: what it has observed. */
  const observed = new Map<string, Seen[]>();
  const hash = createHash("sha1");

  function follow(event: WatchEvent): void {
    const key = event.type === "put" ? event.kv.key : event.key;
    const revision = event.type === "put" ? event.kv.modRevision : event.modRevision;
    const value = event.type === "put" ? event.kv.value : "";
    const [family, ...parts] = keys.parts(key);
    // A node's public key is made by chance.
    hash.update(`${Math.round(time.nowMs)} ${revision} ${key} ${family === "nodes" ? "" : value}\n`);
    if (family === "jobs") {
      const job = parts.join("/");
      const stored = event.type === "put" ? decode<StoredJob>(key, value) : undefined;
      trace(`job ${job} at revision ${revision}: ${stored === undefined ? "none" : JSON.stringify(stored)}`);
      listOf(forms, job).push({ fromMs: time.nowMs, revision, stored });
    } else if (family === "dispatch") {
      const [node = "", ...job] = parts;
      const form = event.type === "put" ? decode<Dispatch>(key, value).revision : undefined;
      const ofJob = forms.get(job.join("/")) ?? [];
      // A deletion is known by the last form that was one.
      const gone = ofJob.findLast(({ stored }) => stored === undefined)?.revision ?? 0;
      listOf(dispatched, `${node}/${job.join("/")}`).push({ form: form ?? gone, revision });
    } else if (family === "alive" && event.type === "put") {
      listOf(observed, parts[0] ?? "").push({ atMs: time.nowMs, revision: decode<Alive>(key, value).observedRevision });
    } else if (family === "records" && event.type === "put") {
      const record = decode<ExecutionRecord>(key, value);
      records.set(record.id, record);
      const { id, jobId, dueAt, nodeId, provisional } = record;
      trace(
        `record ${jobId} ${dueAt ?? "ordered"}: ${outcomeWord(record.outcome)}${provisional ? " (provisional)" : ""} on ${nodeId}, ${id}`,
      );
    } else if (family === "runs" && event.type === "put") {
      const run = decode<RunDocument>(key, value);
      runs.set(run.id, run);
    } else if (family === "plans" && event.type === "put") {
      plans.push(decode<RunPlan>(key, value));
    } else if (family === "orders" && event.type === "put") {
      const order = parseTaskOrderId(decode<Order>(key, value).id);
      if (order !== undefined) taskOrders.set(order.execution, order);
    }
  }

  const stop = kv.watch(
    { start: keys.all, end: `${keys.prefix}0`, fromRevision: 1 },
    { onEvents: (events) => events.forEach(follow), onEnd: () => {} },
  );
  return {
    ...{ forms, records, runs, plans, taskOrders },
    knewAt(node, job, revision) {
      const sent = dispatched.get(`${node}/${job}`)?.find(({ form }) => form >= revision);
      return sent && observed.get(node)?.find((seen) => seen.revision >= sent.revision)?.atMs;
    },
    digest: () => hash.digest("hex"),
    close: stop,
  };
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  const known = map.get(key);
  if (known !== undefined) return known;
  const fresh: T[] = [];
  map.set(key, fresh);
  return fresh;
}
