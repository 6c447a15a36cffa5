/** Every metric of the master beside those of the process itself (docs/metrics.md is made from this). */
import type { MetricRow } from "fleetcron-shared/base/metric-row";

const QUICK = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const WORK = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300];
const RUNS = [1, 10, 60, 300, 1800, 7200, 43_200];

export const MASTER_METRICS = {
  fleetcron_master_info: {
    type: "gauge",
    help: "1; the version, the cluster and the master's name are labels",
    labels: ["version", "cluster", "master"],
  },
  fleetcron_master_leading: { type: "gauge", help: "1 on the master that leads" },
  fleetcron_master_ready: { type: "gauge", help: "1 when /readyz says ok" },
  fleetcron_master_view_live: { type: "gauge", help: "1 while what is held in memory of a family of keys follows etcd", labels: ["view"] },
  fleetcron_master_jobs: { type: "gauge", help: "Jobs" },
  fleetcron_master_nodes: { type: "gauge", help: "Nodes, by whether they are online", labels: ["online"] },
  fleetcron_master_processes: { type: "gauge", help: "Processes that have run for a while (`procThreshold` of the agents)" },
  fleetcron_master_event_readers: { type: "gauge", help: "Readers of /api/v1/events at this master" },
  fleetcron_master_http_requests_total: {
    type: "counter",
    help: "Requests, by pattern of the route",
    labels: ["method", "route", "status"],
  },
  fleetcron_master_http_request_seconds: {
    type: "histogram",
    help: "From a request's head to the end of its answer; without streams",
    labels: ["method", "route"],
    buckets: QUICK,
  },
  fleetcron_master_etcd_call_seconds: { type: "histogram", help: "Calls to etcd", labels: ["call"], buckets: QUICK },
  fleetcron_master_etcd_failures_total: { type: "counter", help: "Calls to etcd that failed", labels: ["call"] },
  fleetcron_master_dispatch_lag_seconds: {
    type: "histogram",
    help: "From the first change of jobs or nodes that waits to the writing of a batch of dispatches (leader)",
    buckets: WORK,
  },
  fleetcron_master_records_filed_total: {
    type: "counter",
    help: "Records filed, by the type of their outcome (leader)",
    labels: ["outcome", "success"],
  },
  fleetcron_master_filing_lag_seconds: { type: "histogram", help: "End of an attempt to the filing of its record (leader)", buckets: WORK },
  fleetcron_master_ticks_missed_total: {
    type: "counter",
    help: "Due ticks that nobody ran or reported in time, by the reason; one that is reported after all stays counted (leader)",
    labels: ["reason"],
  },
  fleetcron_master_ticks_duplicate_total: {
    type: "counter",
    help: "Second executions of one tick of an `interval` or `alone` job, reruns of lost ones apart: always 0 (leader)",
  },
  fleetcron_master_ticks_late_total: {
    type: "counter",
    help: "First attempts that began more than 5 s after their tick, beyond the rule's jitter (leader)",
  },
  fleetcron_master_runs_total: { type: "counter", help: "Runs of pipelines that have ended, by state (leader)", labels: ["state"] },
  fleetcron_master_run_duration_seconds: { type: "histogram", help: "How long runs of pipelines took (leader)", buckets: RUNS },
  fleetcron_master_handover_seconds: {
    type: "histogram",
    help: "End of a task of a pipeline to the order of the task that waited for it; without those that wait for people or nodes (leader)",
    buckets: WORK,
  },
  fleetcron_master_notifications_total: { type: "counter", help: "Tries to deliver notifications (leader)", labels: ["result"] },
  fleetcron_master_notifications_waiting: { type: "gauge", help: "Deliveries that gather or are being tried (leader)" },
} as const satisfies Record<string, MetricRow>;

export type MasterMetric = keyof typeof MASTER_METRICS;
