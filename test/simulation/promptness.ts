/** Where nothing is wrong, what is due begins at once: no fault of the world excuses what became of these ticks. */
import { executionsOf } from "fleetcron-shared/check/executions";
import { EPOCH_MS } from "./process.ts";
import type { WorldEnd } from "./world.ts";

/** So long after a heal things may still be in disorder: sessions, leaders, and what has piled up. */
const SETTLING_MS = 6 * 60_000;
const AROUND_MS = 15_000;
/** A tick joins the line of one that was late (agent/src/fire/lane.ts) when it is due within as long again as that was late, and within this at most. */
const JOINS_MS = 5000;
/** The turn of a tick that stands in the line of one that was late comes so soon after that has ended. */
const TURN_MS = 2000;
const CLOCKS_MS = 2000;

export function untimely({ truth, spans, capacity }: WorldEnd): { readonly kind: string; readonly text: string }[] {
  // Too few slots delay everything.
  if (capacity < 20) return [];
  const { history, prompt } = truth;
  const tickOf = (about: { job: string; rule?: string | undefined; dueMs?: number | undefined; node?: string | undefined }) =>
    `${about.job} ${about.rule} ${about.dueMs} ${about.node ?? ""}`;
  const begun = new Map<string, number>();
  for (const { beginMs, ...about } of history.runs) {
    for (const key of [tickOf(about), tickOf({ ...about, node: undefined })]) begun.set(key, Math.min(begun.get(key) ?? beginMs, beginMs));
  }
  const told = new Map<string, string>();
  for (const verdict of history.verdicts) {
    told.set(tickOf(verdict), verdict.outcome);
    told.set(tickOf({ ...verdict, node: undefined }), verdict.outcome);
  }
  // On a host whose clock is behind, the time of a tick comes later.
  const isCalm = (dueMs: number, untilMs: number) =>
    spans.every(({ fromMs, toMs }) => EPOCH_MS + fromMs - AROUND_MS > untilMs || EPOCH_MS + toMs + SETTLING_MS < dueMs);
  const executions = Map.groupBy(executionsOf(history.runs), ({ job }) => job);
  const isInLine = ({ job, dueMs }: { job: string; dueMs: number }, beginMs: number) =>
    (executions.get(job) ?? []).some((one) => {
      const lateMs = one.beginMs - (one.dueMs ?? one.beginMs);
      const endMs = Math.max(...one.runs.map((run) => run.endMs ?? Number.POSITIVE_INFINITY));
      // On a host whose clock is ahead, both its begin and its lateness are more.
      const joinsUntilMs = one.beginMs + CLOCKS_MS + Math.min(JOINS_MS, lateMs + CLOCKS_MS);
      return one.beginMs < beginMs && one.beginMs - CLOCKS_MS <= dueMs && dueMs <= joinsUntilMs && beginMs <= endMs + TURN_MS;
    });
  const found: { kind: string; text: string }[] = [];
  for (const [target, untilMs] of prompt) {
    if (!isCalm(target.dueMs, untilMs)) continue;
    const key = tickOf(target);
    const beginMs = begun.get(key);
    const outcome = told.get(key);
    const words = `${key} (${new Date(target.dueMs).toISOString()})`;
    if (beginMs === undefined && outcome !== "skipped:overlap")
      found.push({ kind: "unexcused", text: `nothing was wrong, and ${words} did not run: ${outcome}` });
    if (beginMs !== undefined && beginMs > untilMs && !isInLine(target, beginMs))
      found.push({ kind: "tardy", text: `nothing was wrong, and ${words} began ${beginMs - target.dueMs} ms late` });
  }
  return found;
}
