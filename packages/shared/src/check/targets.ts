/**
 * The targets of a job between two instants, from its forms (one for each time that it was changed) and their calendar. Only rules with a timer of instants
 * have any: `onlyonce`, `manyonce` and `@startup` are due by what happens on a node. Pure.
 */
import type { EpochMs } from "../base/clock.ts";
import type { Instants } from "../model/calendar/rule-schedule.ts";
import type { Job, Rule } from "../model/job.ts";
import type { Target } from "./history.ts";

/** What the targets need of a compiled job. */
export type TargetJob = Pick<Job, "key" | "kind" | "rules" | "pause" | "retry" | "onNodeLost">;

/** A job as it was in [fromMs, untilMs): a change made another form of it. */
export type JobForm<J extends TargetJob = TargetJob> = { readonly job: J; readonly fromMs: EpochMs; readonly untilMs: EpochMs };

export type TargetOptions<J extends TargetJob> = {
  /** [fromMs, untilMs) */
  readonly fromMs: EpochMs;
  readonly untilMs: EpochMs;
  /** The ticks of a rule; a timetable. */
  readonly ticksOf: (job: J, rule: Rule) => Instants;
  /** `common` only: the nodes that the rule matches. */
  readonly nodesOf: (job: J, rule: Rule) => readonly string[];
  /** A run that begins later than this after the due time and the rule's jitter is late. */
  readonly lateAfterMs: number;
  /** For hosts whose clocks run ahead by at most this. Default 0. */
  readonly earlyMs?: number;
  /** So long before and after a change either form of the job may be what a node goes by: its ticks are optional. Default 0. */
  readonly unsettledMs?: number;
};

/** Sorted by due time; a tick that two forms share is one target. */
export function targetsOf<J extends TargetJob>(forms: readonly JobForm<J>[], options: TargetOptions<J>): Target[] {
  const unsettledMs = options.unsettledMs ?? 0;
  const found = new Map<string, Target>();
  for (const { job, fromMs, untilMs } of forms) {
    if (job.pause) continue;
    for (const rule of job.rules) {
      if (rule.mode !== "cycle" || rule.timer === undefined) continue;
      const ticks = options.ticksOf(job, rule);
      const nodes = job.kind === "common" ? options.nodesOf(job, rule) : [undefined];
      const isLast = untilMs >= options.untilMs;
      const end = Math.min(options.untilMs, isLast ? untilMs : untilMs + unsettledMs);
      const begin = Math.max(options.fromMs, fromMs);
      for (let dueMs = ticks.nextAfter(begin - 1); dueMs !== undefined && dueMs < end; dueMs = ticks.nextAfter(dueMs)) {
        const isUnsettled =
          (fromMs > options.fromMs && dueMs < fromMs + unsettledMs) || (!isLast && dueMs + rule.jitterMs >= untilMs - unsettledMs);
        for (const node of nodes) note(found, targetOf(job, rule, dueMs, node, isUnsettled, options));
      }
    }
  }
  return [...found.values()].sort((a, b) => a.dueMs - b.dueMs || compare(a.rule, b.rule) || compare(a.node ?? "", b.node ?? ""));
}

function targetOf<J extends TargetJob>(
  job: J,
  rule: Rule,
  dueMs: EpochMs,
  node: string | undefined,
  isUnsettled: boolean,
  options: TargetOptions<J>,
): Target {
  return {
    job: job.key,
    rule: rule.id,
    dueMs,
    ...(node === undefined ? {} : { node }),
    ...(options.earlyMs === undefined ? {} : { earliestMs: dueMs - options.earlyMs }),
    latestMs: dueMs + rule.jitterMs + options.lateAfterMs,
    ...(job.retry.limit === 0 ? {} : { retries: job.retry.limit }),
    ...(job.kind !== "common" && job.onNodeLost === "rerun" ? { rerun: true } : {}),
    ...(isUnsettled ? { optional: true } : {}),
  };
}

/** What is due in one form for sure is due. */
function note(found: Map<string, Target>, target: Target): void {
  const key = `${target.rule} ${target.dueMs} ${target.node ?? ""}`;
  const held = found.get(key);
  if (held === undefined || held.optional === true) found.set(key, target);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
