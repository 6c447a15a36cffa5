/** What the auditor sees of the cluster in memory: forms of jobs, nodes and their presence, processes. */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import type { Proc } from "fleetcron-shared/model/facts";
import type { Target } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { toKey } from "../job-ref.ts";
import type { ProcEntry } from "../views.ts";
import type { AuditBook } from "./audit-book.ts";
import { type AuditNodes, createAuditNodes } from "./audit-nodes.ts";
import type { LeaderDeps } from "./leader-deps.ts";

export type AuditFollower = {
  readonly nodes: AuditNodes;
  start(): () => void;
  /** A record was filed. */
  heard(record: ExecutionRecord, nowMs: EpochMs): void;
  /** Whether the node shows a process of the tick, or (undefined) of any tick of the job, or did until just now: its record may be on its way. */
  runs(node: string, job: JobKey, tick: { readonly ruleId: string; readonly dueAt: string } | undefined): boolean;
  /** Forgets what ended long enough ago. */
  prune(nowMs: EpochMs): void;
  /** Whether a node may have claimed a tick of that time: none can while all were offline. */
  mayBeClaimed(target: Target, dueMs: EpochMs): boolean;
};

/** A record that comes so long after the end of what it is of was kept back. */
const KEPT_BACK_MS = 30_000;
/** The record of a process that has ended is filed by then. */
const FILED_WITHIN_MS = 15_000;
/** Clocks of nodes may be ahead by so much. */
const AHEAD_MS = 60_000;

export function createAuditFollower(deps: Pick<LeaderDeps, "views" | "keys" | "clock">, book: AuditBook, untilMs: EpochMs): AuditFollower {
  const { views, keys, clock } = deps;
  const nodes = createAuditNodes(clock);
  const procs = new Map<string, Map<string, { readonly proc: Proc; readonly goneMs: EpochMs | undefined }>>();

  function see(key: string, value: ProcEntry | undefined, previous: ProcEntry | undefined): void {
    const entry = value ?? previous;
    if (entry === undefined) return;
    const place = `${entry.node} ${toKey({ group: entry.group, id: entry.job })}`;
    const held = procs.get(place) ?? new Map();
    held.set(key, { proc: entry.proc, goneMs: value === undefined ? clock.now() : undefined });
    procs.set(place, held);
  }

  function prune(nowMs: EpochMs): void {
    for (const [place, held] of procs) {
      for (const [key, { goneMs }] of held) if (goneMs !== undefined && goneMs < nowMs - FILED_WITHIN_MS) held.delete(key);
      if (held.size === 0) procs.delete(place);
    }
  }

  function jobChanged(key: string, job: Parameters<AuditBook["put"]>[0] | undefined): void {
    const [, group = "", id = ""] = keys.parts(key);
    if (job === undefined) book.remove(toKey({ group, id }));
    else book.put(job, untilMs);
  }

  return {
    nodes,
    start() {
      for (const [key, entry] of views.nodes.entries()) nodes.put(keys.parts(key)[1] ?? "", entry);
      for (const [key, alive] of views.alive.entries()) nodes.turn(keys.parts(key)[1] ?? "", alive);
      for (const [key, entry] of views.procs.entries()) see(key, entry, undefined);
      const ends = [
        views.jobs.onChange((changes) => {
          for (const { key, value } of changes) jobChanged(key, value?.job);
        }),
        views.nodes.onChange((changes) => {
          for (const { key, value } of changes) nodes.put(keys.parts(key)[1] ?? "", value);
        }),
        views.alive.onChange((changes) => {
          for (const { key, value } of changes) nodes.turn(keys.parts(key)[1] ?? "", value);
        }),
        views.procs.onChange((changes) => {
          for (const { key, value, previous } of changes) see(key, value, previous);
        }),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
    heard(record, nowMs) {
      const endMs = fromIso(record.endTime);
      const node = nodes.get(record.nodeId);
      if (node !== undefined && endMs !== undefined && nowMs - endMs > KEPT_BACK_MS) node.caughtUpMs = nowMs;
    },
    runs(node, job, tick) {
      const held = procs.get(`${node} ${job}`);
      if (held === undefined) return false;
      if (tick === undefined) return true;
      // One that waits since before its agent was started again does not say for which tick.
      for (const { proc } of held.values()) {
        const { ruleId, dueAt, orderId } = proc;
        if ((ruleId === tick.ruleId && dueAt === tick.dueAt) || (ruleId === undefined && orderId === undefined)) return true;
      }
      return false;
    },
    prune,
    mayBeClaimed: (target, dueMs) =>
      nodes.at(target, dueMs).some(({ alive, turnedMs }) => alive !== undefined || dueMs < turnedMs + AHEAD_MS),
  };
}
