/** Every metric of the agent beside those of the process itself (docs/metrics.md is made from this). */
import type { MetricRow } from "fleetcron-shared/base/metric-row";

const SKEW = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300];
const DURATION = [0.01, 0.1, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 43_200];
const ETCD = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

export const AGENT_METRICS = {
  fleetcron_agent_info: { type: "gauge", help: "1; the version and the node's id are labels", labels: ["version", "node"] },
  fleetcron_agent_ticks_total: {
    type: "counter",
    help: "Ticks that came due here: `fire` went to the gate of their kind, `missed` and `skipped` had passed",
    labels: ["fate"],
  },
  fleetcron_agent_start_skew_seconds: {
    type: "histogram",
    help: "Start of a process minus its tick, of first attempts; waiting for a slot, a lock or a predecessor counts",
    buckets: SKEW,
  },
  fleetcron_agent_starts_total: { type: "counter", help: "Processes and sessions that were started" },
  fleetcron_agent_records_total: {
    type: "counter",
    help: "Records that were written, by the type of their outcome (docs/states.md)",
    labels: ["outcome", "success"],
  },
  fleetcron_agent_attempt_duration_seconds: { type: "histogram", help: "How long attempts ran", buckets: DURATION },
  fleetcron_agent_running: { type: "gauge", help: "Executions that hold a slot" },
  fleetcron_agent_capacity: { type: "gauge", help: "Slots" },
  fleetcron_agent_queued: { type: "gauge", help: "Executions that wait: for a slot, a lock, a predecessor, the next attempt, etcd" },
  fleetcron_agent_outbox_records: { type: "gauge", help: "Records that are not yet in etcd" },
  fleetcron_agent_jobs: { type: "gauge", help: "Jobs in the plan" },
  fleetcron_agent_draining: { type: "gauge", help: "1 while the node takes no new work" },
  fleetcron_agent_session_trusted_seconds: {
    type: "gauge",
    help: "For how long the node may still act as the holder of its lease if etcd does not answer any more; 0: it may not",
  },
  fleetcron_agent_etcd_call_seconds: { type: "histogram", help: "Calls to etcd", labels: ["call"], buckets: ETCD },
  fleetcron_agent_etcd_failures_total: { type: "counter", help: "Calls to etcd that failed", labels: ["call"] },
} as const satisfies Record<string, MetricRow>;

export type AgentMetric = keyof typeof AGENT_METRICS;
