/** How findings name ticks, runs and instants. */
import { type EpochMs, toIso } from "../base/clock.ts";
import { formatDuration } from "../base/duration.ts";
import type { Finding, FindingKind, Target } from "./history.ts";

/** `the tick of 2026-11-21T10:00:00.000Z (rule r1, node n1)`. */
export function tickWords(tick: {
  readonly dueMs: EpochMs;
  readonly rule?: string | undefined;
  readonly node?: string | undefined;
}): string {
  const about = [...(tick.rule === undefined ? [] : [`rule ${tick.rule}`]), ...(tick.node === undefined ? [] : [`node ${tick.node}`])];
  return `the tick of ${toIso(tick.dueMs)}${about.length === 0 ? "" : ` (${about.join(", ")})`}`;
}

/** `execution 01J… on n1, begun 2026-…`. */
export function runWords(run: { readonly execution: string; readonly node: string; readonly attempt?: number; readonly beginMs: EpochMs }) {
  const attempt = run.attempt === undefined || run.attempt === 1 ? "" : ` (attempt ${run.attempt})`;
  return `execution ${run.execution}${attempt} on ${run.node}, begun ${toIso(run.beginMs)}`;
}

export function apart(ms: number): string {
  return formatDuration(Math.round(ms));
}

export function ofTick(kind: FindingKind, target: Target, text: string): Finding {
  return { kind, job: target.job, rule: target.rule, dueMs: target.dueMs, text: `${target.job}: ${text}` };
}

export function ofJob(
  kind: FindingKind,
  about: { readonly job: string; readonly rule?: string | undefined; readonly dueMs?: EpochMs | undefined },
  text: string,
): Finding {
  const { job, rule, dueMs } = about;
  return { kind, job, ...(rule === undefined ? {} : { rule }), ...(dueMs === undefined ? {} : { dueMs }), text: `${job}: ${text}` };
}
