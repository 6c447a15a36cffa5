/** A cluster in memory for tests of the auditor: a store, a clock that is moved by hand, nodes that do what the test says, and one leader after the other. */
import { startAuditor } from "fleetcron/leader/auditor";
import { startFiler } from "fleetcron/leader/filer";
import type { LeaderDeps } from "fleetcron/leader/leader-deps";
import type { Observe } from "fleetcron/observe";
import { createOrderLease } from "fleetcron/ops/order-lease";
import { createTimetable } from "fleetcron/timetable";
import { openViews } from "fleetcron/views";
import { toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import { type Log, silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { systemRandom } from "fleetcron-shared/base/random";
import type { Alive, JobStats, NodeInfo } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { isAuditRecord, spanOf } from "fleetcron-shared/model/missed";
import type { Notice } from "fleetcron-shared/model/notice";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { exists, type Kv, type LeaseId, prefixRange } from "fleetcron-shared/store/kv";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { createKeys } from "fleetcron-shared/wire/keys";

const keys = createKeys();
export const START = Date.UTC(2027, 0, 1);
const MINUTE = 60_000;

export type AuditBench = Awaited<ReturnType<typeof createAuditBench>>;

export async function createAuditBench(options: { missedAfterMs?: number; lostAfterMs?: number; log?: Log } = {}) {
  const clock = createManualClock(START);
  const store = createMemoryStore({ clock });
  const kv = store.connect();
  const log = options.log ?? silentLog;
  const newId = createIdSource({ clock, random: systemRandom });
  const leases = new Map<string, LeaseId>();
  const seen: string[] = [];
  const observe = {
    missed: (reason: string, ticks: number) => void seen.push(`missed ${reason} ${ticks}`),
    duplicate: () => void seen.push("duplicate"),
    late: () => void seen.push("late"),
    filed: () => {},
  } as unknown as Observe;
  let leading: (() => Promise<void>) | undefined;

  async function put(key: string, value: object, lease?: LeaseId): Promise<void> {
    await kv.txn({ then: [{ op: "put", key, value: JSON.stringify(value), lease }] });
  }

  async function lead(own: Kv = store.connect()): Promise<void> {
    await leading?.();
    const deps = { kv: own, keys, clock, random: systemRandom, log };
    const views = openViews(deps);
    await put(keys.leader, { v: 1 });
    const ended = new AbortController();
    const ready = views.synced;
    await clock.advance(0);
    await ready;
    const term = { revision: 1, guard: exists(keys.leader), ended: ended.signal, trusted: () => !ended.signal.aborted };
    const leader: LeaderDeps = { ...deps, newId, views, orderLease: createOrderLease(deps), passPoint: () => {}, term, observe };
    const filer = startFiler(leader);
    const auditor = startAuditor(
      { ...leader, filer, timetable: createTimetable("UTC") },
      { missedAfterMs: options.missedAfterMs ?? MINUTE, lostAfterMs: options.lostAfterMs ?? MINUTE },
    );
    leading = async () => {
      leading = undefined;
      ended.abort();
      await Promise.all([auditor.stop(), filer.stop()]);
      await views.close();
    };
  }

  return {
    clock,
    kv,
    keys,
    put,
    lead,
    connect: () => store.connect(),
    /** What the auditor has counted. */
    seen,
    /** The leader dies. */
    die: async () => leading?.(),
    async advance(ms: number): Promise<void> {
      await clock.advance(ms);
      // What was put in the last moment is seen, and what waits for the listing of a view.
      await clock.advance(500);
    },
    async apply(id: string, spec: Partial<JobSpec>): Promise<void> {
      const at = toIso(clock.now());
      const key = keys.job("g", id);
      const before = JSON.parse((await kv.get(key))?.value ?? "{}") as { createdAt?: string };
      const full = { run: { command: { script: "x" } }, rules: [{ mode: "cycle", timer: "* * * * *" }], ...spec };
      await put(key, { ...{ v: 1, group: "g", id, createdAt: before.createdAt ?? at, updatedAt: at, submittedAt: at }, spec: full });
    },
    remove: (id: string) => kv.txn({ then: [{ op: "delete", key: keys.job("g", id) }] }),
    async join(id: string, labels: Record<string, string> = {}): Promise<void> {
      const at = toIso(clock.now());
      const known = JSON.parse((await kv.get(keys.node(id)))?.value ?? "{}") as { createdAt?: string };
      const info: NodeInfo = {
        ...{ v: 1, id, hostname: `${id}.test`, addresses: [], agentLabels: labels, apiLabels: {}, capacity: 4, version: "0" },
        ...{ createdAt: known.createdAt ?? at, startedAt: at, bootId: "b", pid: 1 },
      };
      const { lease } = await kv.grantLease(100 * 3_600_000);
      leases.set(id, lease);
      const alive: Alive = { v: 1, node: id, instance: newId(), startedAt: at, running: 0, queued: 0, observedRevision: 0 };
      await put(keys.node(id), info);
      await put(keys.alive(id), alive, lease);
    },
    leave: async (id: string) => kv.revokeLease(leases.get(id) ?? ""),
    async proc(node: string, id: string, dueMs: number, execution: string): Promise<void> {
      const at = toIso(clock.now());
      const value = { v: 1, execution, attempt: 1, pid: 7, startedAt: at, ruleId: "r1", dueAt: toIso(dueMs) };
      await put(keys.proc(node, "g", id, 7), value, leases.get(node));
    },
    unproc: (node: string, id: string) => kv.txn({ then: [{ op: "delete", key: keys.proc(node, "g", id, 7) }] }),
    claim: (node: string, id: string, dueMs: number, execution: string) =>
      put(keys.claim("g", id, "r1", dueMs), { v: 1, node, execution, at: toIso(clock.now()) }),
    /** The node reports: that it ran, or what `more` says. */
    async deliver(node: string, id: string, dueMs: number, more: Partial<ExecutionRecord> = {}): Promise<void> {
      const execution = more.execution ?? newId(dueMs);
      const at = toIso(clock.now());
      const record: ExecutionRecord = {
        ...{ v: 1, id: `${execution}-1`, execution, jobGroup: "g", jobId: id, jobRevision: 1, ruleId: "r1", dueAt: toIso(dueMs) },
        ...{ attempt: 1, finalAttempt: true, nodeId: node, hostname: `${node}.test`, name: id, beginTime: at, endTime: at, durationMs: 1 },
        ...{ success: true, outcome: { type: "exit", code: 0 }, isHandled: false },
        ...more,
      };
      await put(keys.inboxRecord(node, record.id), record);
    },
    async records(id: string): Promise<ExecutionRecord[]> {
      return (await kv.range(prefixRange(keys.recordsOf("g", id)))).kvs.map(({ value }) => JSON.parse(value) as ExecutionRecord);
    },
    async stats(id: string): Promise<JobStats | undefined> {
      const found = await kv.get(keys.stats("g", id));
      return found === undefined ? undefined : JSON.parse(found.value);
    },
    async notices(): Promise<Notice[]> {
      return (await kv.range(prefixRange(keys.outbox))).kvs.map(({ value }) => JSON.parse(value) as Notice);
    },
    async stop(): Promise<void> {
      await leading?.();
      await kv.close();
    },
  };
}

/** Minutes after START, for short. */
export function minute(count: number): number {
  return START + count * MINUTE;
}

/** The verdicts of the minutes [from, to] after START, as words: `2: missed:nodeOffline@a`; several of one minute are joined by `+`. */
export function verdictsOf(records: readonly ExecutionRecord[], from: number, to: number): string[] {
  const found: string[] = [];
  for (let at = from; at <= to; at++) {
    const words = records.flatMap((record) => {
      const span = spanOf(record);
      if (span === undefined || span.firstMs > minute(at) || span.lastMs < minute(at)) return [];
      return [`${outcomeWord(record.outcome)}@${record.nodeId}`];
    });
    found.push(`${at}: ${words.sort().join(" + ")}`);
  }
  return found;
}

/** Of the auditor: first and last minute and count of each range. */
export function rangesOf(records: readonly ExecutionRecord[]): string[] {
  return records
    .filter(({ id }) => isAuditRecord(id))
    .map((record) => {
      const span = spanOf(record);
      const of = (ms = 0) => (ms - START) / MINUTE;
      return `${of(span?.firstMs)}-${of(span?.lastMs)} (${record.dueCount ?? 1}) ${outcomeWord(record.outcome)}@${record.nodeId}`;
    });
}
