/** Where the master's metrics come from: what the leader's services tell of, what is at hand when they are read, and the requests of the API. */
import { type Clock, fromIso } from "fleetcron-shared/base/clock";
import type { Metrics } from "fleetcron-shared/metrics/registry";
import { isRunEnd, isTaskEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { outcomeWord } from "fleetcron-shared/model/record";
import type { Kv } from "fleetcron-shared/store/kv";
import { measureKv } from "fleetcron-shared/store/measured-kv";
import type { Observe } from "../observe.ts";
import type { Views } from "../views.ts";
import type { MasterMetric } from "./table.ts";

export function measuredKv(kv: Kv, clock: Pick<Clock, "mono">, metrics: Metrics<MasterMetric>): Kv {
  return measureKv(kv, clock, (call, ms, failed) => {
    metrics.observe("fleetcron_master_etcd_call_seconds", ms / 1000, { call });
    if (failed) metrics.count("fleetcron_master_etcd_failures_total", { call });
  });
}

export function observeInto(metrics: Metrics<MasterMetric>, clock: Pick<Clock, "now">): Observe {
  return {
    dispatched: (lagMs) => metrics.observe("fleetcron_master_dispatch_lag_seconds", lagMs / 1000),
    filed(records) {
      for (const { outcome, success, endTime } of records) {
        const [type = ""] = outcomeWord(outcome).split(":");
        metrics.count("fleetcron_master_records_filed_total", { outcome: type, success: String(success) });
        const endedMs = fromIso(endTime);
        if (endedMs !== undefined) metrics.observe("fleetcron_master_filing_lag_seconds", (clock.now() - endedMs) / 1000);
      }
    },
    missed: (reason, ticks) => metrics.count("fleetcron_master_ticks_missed_total", { reason }, ticks),
    duplicate: () => metrics.count("fleetcron_master_ticks_duplicate_total"),
    late: () => metrics.count("fleetcron_master_ticks_late_total"),
    advanced(before, after) {
      for (const lagMs of handOvers(before, after, clock.now())) metrics.observe("fleetcron_master_handover_seconds", lagMs / 1000);
      if (isRunEnd(before.state) || !isRunEnd(after.state)) return;
      metrics.count("fleetcron_master_runs_total", { state: after.state });
      const [begun, ended] = [fromIso(after.startedAt ?? ""), fromIso(after.endedAt ?? "")];
      if (begun !== undefined && ended !== undefined) metrics.observe("fleetcron_master_run_duration_seconds", (ended - begun) / 1000);
    },
    tried: (result) => metrics.count("fleetcron_master_notifications_total", { result }),
    waiting: (count) => metrics.set("fleetcron_master_notifications_waiting", {}, count),
  };
}

/** For each task that went from waiting for others straight to its execution: how long ago the last of the others ended. */
export function handOvers(before: RunDocument, after: RunDocument, nowMs: number): number[] {
  const ends = Object.values(after.tasks).flatMap((task) => (isTaskEnd(task.state) ? [fromIso(task.endedAt ?? "") ?? 0] : []));
  const newest = Math.max(0, ...ends);
  if (newest === 0) return [];
  return Object.entries(after.tasks).flatMap(([name, task]) =>
    task.state === "creating" && before.tasks[name]?.state === "pending" && task.audit === undefined ? [nowMs - newest] : [],
  );
}

export type ReadParts = {
  readonly about: { readonly version: string; readonly cluster: string; readonly master: () => string };
  readonly views: Views;
  readonly isLeading: () => boolean;
  readonly eventReaders: () => number;
};

/** Gauges of what is at hand. */
export function readInto(metrics: Metrics<MasterMetric>, { about, views, isLeading, eventReaders }: ReadParts): void {
  metrics.onRead(() => {
    const { version, cluster } = about;
    metrics.set("fleetcron_master_info", { version, cluster, master: about.master() }, 1);
    metrics.set("fleetcron_master_leading", {}, isLeading() ? 1 : 0);
    const away = new Set(views.unready());
    metrics.set("fleetcron_master_ready", {}, away.size === 0 ? 1 : 0);
    for (const view of views.names) metrics.set("fleetcron_master_view_live", { view }, away.has(view) ? 0 : 1);
    metrics.set("fleetcron_master_jobs", {}, views.jobs.size);
    metrics.set("fleetcron_master_nodes", { online: "true" }, views.alive.size);
    metrics.set("fleetcron_master_nodes", { online: "false" }, Math.max(0, views.nodes.size - views.alive.size));
    metrics.set("fleetcron_master_processes", {}, views.procs.size);
    metrics.set("fleetcron_master_event_readers", {}, eventReaders());
    if (!isLeading()) metrics.set("fleetcron_master_notifications_waiting", {}, 0);
  });
}
