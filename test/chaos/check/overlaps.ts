/**
 * Runs of an `alone` job that were under way at once. While its host was frozen a process does nothing, so that time does not count; what is left over is what a
 * lease cannot prevent (docs/guarantees.md), where the host was frozen or had lost agent and spawner together; anything else is a finding. Pure.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Stretch } from "../fault-log.ts";
import type { Witnessed } from "./evidence.ts";
import type { Told } from "./records.ts";

export type Overlap = {
  readonly job: string;
  readonly executions: readonly [string, string];
  readonly nodes: readonly [string, string];
  readonly atMs: EpochMs;
  /** How long both were at work. */
  readonly ms: number;
  /** What allows it; undefined: nothing. */
  readonly cause: string | undefined;
};

type Span = { readonly fromMs: EpochMs; readonly untilMs: EpochMs };
const FROZEN = "host-stop";
const UNWATCHED = "agent-and-spawner-kill";
/** After a thaw, until the watchdog has had its turn. */
const THAW_MS = 1000;
/** Until the next agent ends what agent and spawner have left behind. */
const CARRY_MS = 5000;

/**
 * A process whose host was frozen right after its start tells of it when the host thaws: it began when its record says so. Only where the host was frozen
 * all the while between.
 */
export function trueBegins<T extends Witnessed>(runs: readonly T[], told: readonly Told[], stretches: readonly Stretch[]): T[] {
  const records = new Map(told.map((one) => [`${one.execution}-${one.attempt}`, one.beginMs]));
  return runs.map((run) => {
    const beginMs = records.get(`${run.execution}-${run.attempt}`);
    if (beginMs === undefined || beginMs >= run.beginMs) return run;
    const frozen = stretches.some(
      ({ fault, touches, fromMs, untilMs = Number.POSITIVE_INFINITY }) =>
        fault === FROZEN &&
        touches.includes(run.node) &&
        fromMs <= beginMs + THAW_MS &&
        fromMs < run.beginMs &&
        untilMs >= run.beginMs - THAW_MS,
    );
    return frozen ? { ...run, beginMs } : run;
  });
}

export function overlapsOf(runs: readonly Witnessed[], stretches: readonly Stretch[]): Overlap[] {
  const byJob = Map.groupBy(runs, ({ job }) => job);
  return [...byJob].flatMap(([job, ofJob]) => {
    const sorted = [...ofJob].sort((a, b) => a.beginMs - b.beginMs);
    return sorted.flatMap((run, index) =>
      sorted.slice(index + 1).flatMap((other): Overlap[] => {
        if (other.execution === run.execution || other.beginMs >= endOf(run)) return [];
        const ms = common(atWork(run, stretches), atWork(other, stretches));
        if (ms <= 0) return [];
        const names = { executions: [run.execution, other.execution], nodes: [run.node, other.node] } as const;
        return [{ job, ...names, atMs: other.beginMs, ms, cause: causeOf(run, other, ms, stretches) }];
      }),
    );
  });
}

const endOf = (run: Witnessed) => run.endMs ?? run.lastMs;

/** When the process could do something. */
function atWork(run: Witnessed, stretches: readonly Stretch[]): Span[] {
  let spans: Span[] = [{ fromMs: run.beginMs, untilMs: endOf(run) }];
  for (const { fault, touches, fromMs, untilMs = Number.POSITIVE_INFINITY } of stretches) {
    if (fault !== FROZEN || !touches.includes(run.node)) continue;
    spans = spans.flatMap((span) => [
      { fromMs: span.fromMs, untilMs: Math.min(span.untilMs, fromMs) },
      { fromMs: Math.max(span.fromMs, untilMs), untilMs: span.untilMs },
    ]);
  }
  return spans.filter((span) => span.untilMs > span.fromMs);
}

function common(one: readonly Span[], two: readonly Span[]): number {
  let sum = 0;
  for (const a of one) for (const b of two) sum += Math.max(0, Math.min(a.untilMs, b.untilMs) - Math.max(a.fromMs, b.fromMs));
  return sum;
}

function causeOf(run: Witnessed, other: Witnessed, ms: number, stretches: readonly Stretch[]): string | undefined {
  const during = (fault: string, moreMs: number) =>
    stretches.some(
      ({ fault: name, touches, fromMs, untilMs = Number.POSITIVE_INFINITY }) =>
        name === fault && touches.includes(run.node) && fromMs <= endOf(run) && untilMs + moreMs >= other.beginMs,
    );
  if (ms <= THAW_MS && during(FROZEN, THAW_MS)) return "its host was frozen";
  return during(UNWATCHED, CARRY_MS) ? "its agent and spawner were dead" : undefined;
}
