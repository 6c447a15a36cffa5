/** Whether every due tick of the targets has come to something, and every order that was answered. Pure. */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import type { Target } from "fleetcron-shared/check/history";
import type { Deed } from "../traffic/traffic.ts";
import type { Witnessed } from "./evidence.ts";
import type { Told } from "./records.ts";

/** A process that has ended is told of within so much time. */
const TOLD_WITHIN_MS = 2000;

/** What is still open, in words. `nowMs`: of the true clock. */
export function openTicks(targets: readonly Target[], runs: readonly Witnessed[], told: readonly Told[], nowMs: EpochMs): string[] {
  const final = new Set<string>();
  const ranges = new Map<string, Told[]>();
  const going = new Set<string>();
  const key = (job: string, node: string, dueMs: EpochMs) => `${job} ${node} ${dueMs}`;
  const ended = new Set(told.filter((one) => one.final).map(({ execution }) => execution));
  for (const one of told) {
    if (one.dueMs === undefined || !one.final) continue;
    if (one.dueUntilMs !== undefined) ranges.set(one.job, [...(ranges.get(one.job) ?? []), one]);
    for (const node of [one.node, "*"]) final.add(key(one.job, node, one.dueMs));
  }
  // What runs, or has just ended, or waits for its next attempt.
  const waits = new Set(told.filter((one) => !one.final).map(({ execution }) => execution));
  for (const run of runs) {
    if (run.dueMs === undefined || ended.has(run.execution)) continue;
    const isFresh = run.endMs === undefined ? nowMs - run.lastMs < 15_000 : nowMs - run.endMs < TOLD_WITHIN_MS || waits.has(run.execution);
    if (isFresh) for (const node of [run.node, "*"]) going.add(key(run.job, node, run.dueMs));
  }
  return targets.flatMap(({ job, node = "*", dueMs, optional }) => {
    if (optional) return [];
    if (final.has(key(job, node, dueMs)) || going.has(key(job, node, dueMs))) return [];
    const covered = ranges
      .get(job)
      ?.some((one) => (node === "*" || one.node === node) && (one.dueMs ?? 0) <= dueMs && dueMs <= (one.dueUntilMs ?? 0));
    return covered ? [] : [`${job} of ${toIso(dueMs)}${node === "*" ? "" : ` on ${node}`} has no verdict`];
  });
}

/** Orders that were answered and have not come to an end. */
export function openOrders(deeds: readonly Deed[], told: readonly Told[], runs: readonly Witnessed[]): string[] {
  const final = new Set(told.filter((one) => one.final).map(({ execution }) => execution));
  const going = new Set(runs.filter(({ endMs }) => endMs === undefined).map(({ execution }) => execution));
  return deeds
    .filter(({ what }) => what === "order")
    .flatMap(({ on, executions = [] }) => executions.map((execution) => ({ on, execution })))
    .filter(({ execution }) => !final.has(execution) && !going.has(execution))
    .map(({ on, execution }) => `the order of ${on} (${execution}) has no end`);
}
