/** The keys of an agent, written by hand: for tests of the master that must decide what the agent does and when it dies. */

import { systemClock, toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import { systemRandom } from "fleetcron-shared/base/random";
import type { Alive, Claim, NodeInfo, Proc } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { Kv, LeaseId } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";

export const keys = createKeys();
export const newId = createIdSource({ clock: systemClock, random: systemRandom });

export type FakeAgent = {
  readonly id: string;
  readonly lease: LeaseId;
  claim(job: string, rule: string, dueMs: number, execution: string): Promise<void>;
  proc(job: string, proc: Omit<Proc, "v">): Promise<void>;
  deliver(record: ExecutionRecord): Promise<void>;
  /** The session ends: presence and processes vanish. */
  vanish(): Promise<void>;
};

/** Registers a node and puts it online under a lease of its own. */
export async function joinFleet(kv: Kv, id: string, labels: Record<string, string> = {}): Promise<FakeAgent> {
  const now = toIso(systemClock.now());
  const info: NodeInfo = {
    v: 1,
    id,
    hostname: `${id}.test`,
    addresses: [],
    agentLabels: labels,
    apiLabels: {},
    capacity: 4,
    version: "0",
    createdAt: now,
    startedAt: now,
    bootId: "b",
    pid: 1,
  };
  const { lease } = await kv.grantLease(3_600_000);
  const alive: Alive = { v: 1, node: id, instance: newId(), startedAt: now, running: 0, queued: 0, observedRevision: 0 };
  await put(kv, keys.node(id), encode(info));
  await put(kv, keys.alive(id), encode(alive), lease);
  const parts = (job: string): [string, string] => [job.split("/")[0] ?? "", job.split("/")[1] ?? ""];
  return {
    id,
    lease,
    claim(job, rule, dueMs, execution) {
      const claim: Claim = { v: 1, node: id, execution, at: toIso(systemClock.now()) };
      return put(kv, keys.claim(...parts(job), rule, dueMs), encode(claim));
    },
    proc: (job, proc) => put(kv, keys.proc(id, ...parts(job), proc.pid), encode({ v: 1, ...proc }), lease),
    deliver: (record) => put(kv, keys.inboxRecord(id, record.id), encode(record)),
    vanish: () => kv.revokeLease(lease),
  };
}

/** A record of a successful run; `more` changes it. */
export function someRecord(node: string, job: string, more: Partial<ExecutionRecord> = {}): ExecutionRecord {
  const [jobGroup = "", jobId = ""] = job.split("/");
  const execution = more.execution ?? newId();
  const attempt = more.attempt ?? 1;
  const now = toIso(systemClock.now());
  return {
    ...{
      v: 1,
      id: `${execution}-${attempt}`,
      execution,
      jobGroup,
      jobId,
      jobRevision: 1,
      attempt,
      finalAttempt: true,
      nodeId: node,
      hostname: `${node}.test`,
    },
    ...{ name: jobId, beginTime: now, endTime: now, durationMs: 5, success: true, outcome: { type: "exit", code: 0 }, isHandled: false },
    ...more,
  } as ExecutionRecord;
}

export async function put(kv: Kv, key: string, value: string, lease?: LeaseId): Promise<void> {
  await kv.txn({ then: [{ op: "put", key, value, lease }] });
}
