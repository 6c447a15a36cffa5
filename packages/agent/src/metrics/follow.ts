/**
 * Where the agent's metrics come from: what its parts tell of, and what is at hand when they are read. Without an address nothing is loaded, measured or served.
 */
import { type Clock, fromIso } from "fleetcron-shared/base/clock";
import type { Metrics } from "fleetcron-shared/metrics/registry";
import { didRun, type ExecutionRecord } from "fleetcron-shared/model/record";
import type { Kv } from "fleetcron-shared/store/kv";
import { measureKv } from "fleetcron-shared/store/measured-kv";
import type { Session } from "fleetcron-shared/store/session";
import type { DueRule } from "../plan/planner.ts";
import type { Outbox } from "../report/outbox.ts";
import type { ProcFacts, Procs } from "../report/procs.ts";
import { AGENT_METRICS, type AgentMetric } from "./table.ts";

export type FollowedParts = {
  readonly identity: { readonly version: string; readonly node: string };
  readonly startedMs: number;
  readonly outbox: Outbox;
  readonly procs: Procs;
  readonly session: Pick<Session, "current">;
  /** Read when the metrics are. */
  readonly state: () => { running: number; capacity: number; queued: number; jobs: number; draining: boolean };
};
export type AgentMetrics = {
  /** The store, measured. */
  readonly kv: Kv;
  due(due: readonly DueRule[]): void;
  /** Begins to serve; the returned function ends that. */
  follow(parts: FollowedParts): Promise<() => unknown>;
};

export async function openMetrics(
  deps: { readonly kv: Kv; readonly clock: Clock },
  address: { readonly host: string; readonly port: number } | undefined,
): Promise<AgentMetrics> {
  const { kv, clock } = deps;
  if (address === undefined) return { kv, due: () => {}, follow: async () => () => {} };
  const [{ createMetrics }, { serveMetrics }] = await Promise.all([import("fleetcron-shared/metrics/registry"), import("./serve.ts")]);
  const metrics = createMetrics(AGENT_METRICS);
  return {
    kv: measureKv(kv, clock, (call, ms, failed) => {
      metrics.observe("fleetcron_agent_etcd_call_seconds", ms / 1000, { call });
      if (failed) metrics.count("fleetcron_agent_etcd_failures_total", { call });
    }),
    due: (due) => countDue(metrics, due),
    async follow({ identity, startedMs, outbox, procs, session, state }) {
      outbox.onPosted = (record) => countRecord(metrics, record);
      procs.onStarted = (facts) => countStart(metrics, facts, startedMs);
      metrics.set("fleetcron_agent_info", identity, 1);
      const trustedMs = () => Math.max(0, (session.current()?.trustedUntil() ?? 0) - clock.mono());
      metrics.onRead(() => {
        const { running, capacity, queued, jobs, draining } = state();
        metrics.set("fleetcron_agent_running", {}, running);
        metrics.set("fleetcron_agent_capacity", {}, capacity);
        metrics.set("fleetcron_agent_queued", {}, queued);
        metrics.set("fleetcron_agent_jobs", {}, jobs);
        metrics.set("fleetcron_agent_draining", {}, draining ? 1 : 0);
        metrics.set("fleetcron_agent_outbox_records", {}, outbox.depth);
        metrics.set("fleetcron_agent_session_trusted_seconds", {}, trustedMs() / 1000);
      });
      const health = () => (trustedMs() > 0 ? [] : ["etcd does not renew the node's lease: it counts as offline"]);
      const server = await serveMetrics(address, metrics, health);
      return server.close;
    },
  };
}

function countDue(metrics: Metrics<AgentMetric>, due: readonly DueRule[]): void {
  for (const { fire, missed, skipped } of due) {
    if (fire.length > 0) metrics.count("fleetcron_agent_ticks_total", { fate: "fire" }, fire.length);
    if (missed) metrics.count("fleetcron_agent_ticks_total", { fate: "missed" }, missed.count);
    if (skipped) metrics.count("fleetcron_agent_ticks_total", { fate: "skipped" }, skipped.count);
  }
}

/** `sinceMs`: what began before was taken over from an earlier agent process. */
function countStart(metrics: Metrics<AgentMetric>, facts: ProcFacts, sinceMs: number): void {
  if (facts.startedAtMs < sinceMs) return;
  metrics.count("fleetcron_agent_starts_total");
  const dueMs = fromIso(facts.dueAt ?? "");
  if (dueMs !== undefined && facts.attempt === 1) metrics.observe("fleetcron_agent_start_skew_seconds", (facts.startedAtMs - dueMs) / 1000);
}

function countRecord(metrics: Metrics<AgentMetric>, record: ExecutionRecord): void {
  const { outcome, success, durationMs, partOf } = record;
  // One of several hosts: the execution that it belongs to has a record of its own.
  if (partOf !== undefined) return;
  metrics.count("fleetcron_agent_records_total", { outcome: outcome.type, success: String(success) });
  if (didRun(outcome) && durationMs !== undefined) metrics.observe("fleetcron_agent_attempt_duration_seconds", durationMs / 1000);
}
