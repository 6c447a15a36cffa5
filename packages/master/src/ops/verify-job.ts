/**
 * One job against its schedule: the checker (shared/check) over the ticks that can be judged, slice by slice, so that neither memory nor the event loop feels
 * how many there are. Judged are the ticks of the present form, as far back as records are complete; older ones only for double verdicts.
 */
import { type EpochMs, fromIso, toIso } from "fleetcron-shared/base/clock";
import { placeOf } from "fleetcron-shared/base/sorted";
import { examineJob, type JobExamination } from "fleetcron-shared/check/check";
import { exclusion } from "fleetcron-shared/check/exclusion";
import type { JobHistory } from "fleetcron-shared/check/executions";
import type { Finding, Target, Verdict } from "fleetcron-shared/check/history";
import type { createTally } from "fleetcron-shared/check/summary";
import { targetsOf } from "fleetcron-shared/check/targets";
import { doubles } from "fleetcron-shared/check/verdicts";
import type { Job, Rule } from "fleetcron-shared/model/job";
import { matchingNodes } from "./choose-nodes.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { createWaiting, type Waiting } from "./verify-pending.ts";
import { type Budget, type JobRecords, readRecords, tooMuch } from "./verify-records.ts";
import { createStreaks, type Fate, type TickFinding } from "./verify-streaks.ts";

export type VerifyDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "timetable" | "archive" | "caller" | "missedAfterMs">;
export type VerifySpan = { readonly sinceMs: EpochMs; readonly untilMs: EpochMs; readonly lateAfterMs: number };
export type VerifyBudget = Budget & { ticks: number };
export type VerifyTools = {
  readonly tally: ReturnType<typeof createTally>;
  readonly budget: VerifyBudget;
  readonly turn: () => Promise<void>;
};
export type JobVerification = {
  readonly findings: readonly TickFinding[];
  /** What was due before it could not be judged, and why. */
  readonly unknown?: { readonly beforeMs: EpochMs; readonly text: string };
  readonly isHistoryAway: boolean;
};

/** So long a change of a job, or a new node, may be on its way to where it counts. */
const SETTLE_MS = 5000;
/** Clocks of nodes may differ by so much before two runs on two nodes are called an overlap. */
const SKEW_MS = 1000;
const FIRST_SLICE_MS = 300_000;
const SLICE_TARGETS = 10_000;

export async function verifyJob(deps: VerifyDeps, job: Job, span: VerifySpan, tools: VerifyTools): Promise<JobVerification> {
  const { tally, budget, turn } = tools;
  const { sinceMs, untilMs, lateAfterMs } = span;
  const records = await readRecords(deps, job, span, budget);
  const judgedMs = Math.min(untilMs, Math.max(sinceMs, job.updatedAtMs + SETTLE_MS, records.completeFromMs));
  const waiting = createWaiting(deps, job, records.verdicts);
  const timed = job.rules.filter((rule) => isTimed(deps, job, rule));
  const isTick = ({ rule }: { readonly rule?: string }) => timed.some(({ id }) => id === rule);
  const verdicts = waiting.settled(records.verdicts.filter(isTick));
  const runs = byDue(records.runs.filter(isTick));
  const points = byDue(verdicts.filter(({ dueUntilMs }) => dueUntilMs === undefined));
  const ranges = verdicts.filter(({ dueUntilMs }) => dueUntilMs !== undefined);
  const nodes = nodesFor(deps, job, verdicts);
  const streaks = createStreaks();
  const findings: TickFinding[] = [...olderDoubles(job, { runs, verdicts: points }, judgedMs)];
  if (job.kind === "alone") {
    const ownRuns = records.runs.filter(({ beginMs }) => beginMs >= job.updatedAtMs);
    findings.push(...exclusion(ownRuns, SKEW_MS));
  }

  let sliceMs = FIRST_SLICE_MS;
  for (let fromMs = judgedMs; fromMs < untilMs && timed.length > 0; ) {
    const endMs = Math.min(untilMs, fromMs + sliceMs);
    const form = { job: { ...job, rules: timed, pause: job.pause }, fromMs, untilMs: endMs };
    const due = targetsOf([form], {
      ...{ fromMs, untilMs: endMs, lateAfterMs },
      ticksOf: (_, rule) => deps.timetable.of(job, rule),
      nodesOf: (_, rule) => nodes.of(rule),
    });
    budget.ticks -= due.length;
    if (budget.ticks < 0) throw tooMuch();
    const sliceStartMs = fromMs;
    const seen = await examineSlice(waiting, {
      job: job.key,
      targets: due.map(nodes.settle),
      runs: within(runs, fromMs, endMs),
      verdicts: [
        ...within(points, fromMs, endMs),
        ...ranges.filter(({ dueMs = 0, dueUntilMs = 0 }) => dueMs < endMs && dueUntilMs >= sliceStartMs),
      ],
      isExclusive: false,
      isPending: waiting.isWaiting,
      isInSpan: (ms) => ms >= sliceStartMs && ms < endMs,
    });
    seen.job.targets.forEach((target, at) => {
      streaks.add(target, fateOf(seen, target, at));
    });
    // Silent ticks are told in streaks.
    findings.push(...seen.findings.filter(({ kind }) => kind !== "silent"));
    tally.add({ ...seen, findings: [] });
    sliceMs = Math.max(1000, Math.min(sliceMs * 8, Math.floor((sliceMs * SLICE_TARGETS) / Math.max(1, due.length))));
    fromMs = endMs;
    await turn();
  }
  findings.push(...streaks.findings());
  return { findings, ...unknownOf(job, span, judgedMs, records), isHistoryAway: records.isHistoryAway };
}

async function examineSlice(waiting: Waiting, history: JobHistory): Promise<JobExamination> {
  const seen = examineJob(history);
  const silent = history.targets.filter((target, at) => target.node === undefined && !isTold(seen, at) && !history.isPending(target));
  if (silent.length === 0) return seen;
  const held = await waiting.claimedByAbsent(silent);
  return held.size === 0 ? seen : examineJob({ ...history, isPending: (target) => held.has(target) || history.isPending(target) });
}

function isTold({ coverage, verdicts }: JobExamination, at: number): boolean {
  return coverage.ranBy.has(at) || verdicts.of.has(at);
}

/** What is to be told of a tick beyond what the checks find wrong: it did not run, and not because the job wants it so. */
function fateOf(seen: JobExamination, target: Target, at: number): Fate | undefined {
  const verdict = seen.verdicts.of.get(at);
  if (verdict === undefined) {
    if (isTold(seen, at) || target.optional === true || seen.job.isPending(target)) return undefined;
    return { kind: "silent", words: "no run and no verdict" };
  }
  const [type] = verdict.outcome.split(":");
  if (type === "missed") return { kind: "missed", words: verdict.outcome };
  const until = verdict.provisional ? ", until the node says otherwise" : "";
  return type === "lost" ? { kind: "lost", words: `${verdict.outcome} on ${verdict.node}${until}` } : undefined;
}

/** A rule whose ticks are instants that its timer names. */
function isTimed({ timetable }: VerifyDeps, job: Job, rule: Rule): boolean {
  return rule.mode === "cycle" && rule.timer !== undefined && timetable.of(job, rule).kind !== "startup";
}

/** The nodes of a rule as they are now, with those that have told of it and match no more: what is due there is not sure. */
function nodesFor({ views, keys }: VerifyDeps, job: Job, verdicts: readonly Verdict[]) {
  if (job.kind !== "common") return { of: () => [], settle: (target: Target) => target };
  const now = new Map(
    job.rules.map((rule) => [rule.id, new Set(matchingNodes(views, keys, { ...job, rules: [rule] }).map(({ id }) => id))]),
  );
  const told = Map.groupBy(verdicts, ({ rule }) => rule ?? "");
  const isNew = (node: string, dueMs: EpochMs) =>
    dueMs < (fromIso(views.nodes.get(keys.node(node))?.info.createdAt ?? "") ?? 0) + SETTLE_MS;
  return {
    of: (rule: Rule) => [...new Set([...(now.get(rule.id) ?? []), ...(told.get(rule.id) ?? []).map(({ node }) => node)])],
    settle(target: Target): Target {
      const { node, rule, dueMs } = target;
      if (node === undefined) return target;
      return now.get(rule)?.has(node) === true && !isNew(node, dueMs) ? target : { ...target, optional: true };
    },
  };
}

/** Of the time before: an earlier form of the job may have had other ticks, but none of them two verdicts. A fence tells that a tick was the whole cluster's. */
function olderDoubles(job: Job, { runs, verdicts }: Pick<JobRecords, "runs" | "verdicts">, judgedMs: EpochMs): Finding[] {
  const older = verdicts.filter(({ dueMs = 0 }) => dueMs < judgedMs);
  const rerun = job.onNodeLost === "rerun";
  if (job.kind === "common") return doubles(job.key, older, true, rerun);
  const fenced = new Set(runs.filter(({ fence }) => fence !== undefined).map(({ execution }) => execution));
  return doubles(
    job.key,
    older.filter(({ execution }) => fenced.has(execution)),
    false,
    rerun,
  );
}

function unknownOf(job: Job, { sinceMs }: VerifySpan, judgedMs: EpochMs, { completeFromMs }: JobRecords): Pick<JobVerification, "unknown"> {
  const formMs = Math.max(job.updatedAtMs, job.createdAtMs);
  const texts = [
    ...(job.createdAtMs > sinceMs
      ? [`created ${toIso(job.createdAtMs)}`]
      : formMs > sinceMs
        ? [`changed ${toIso(formMs)}: ticks of its earlier form are looked at for double verdicts only`]
        : []),
    ...(completeFromMs > Math.max(sinceMs, formMs)
      ? [`keeps ${job.retain.count} records (\`retain\`): those of ticks before ${toIso(completeFromMs)} may be gone`]
      : []),
    ...(job.pause ? ["paused: nothing is due"] : []),
  ];
  return texts.length === 0 ? {} : { unknown: { beforeMs: judgedMs, text: `${job.key}: ${texts.join("; ")}` } };
}

function byDue<T extends { readonly dueMs?: EpochMs }>(list: readonly T[]): T[] {
  return list.filter(({ dueMs }) => dueMs !== undefined).sort((a, b) => (a.dueMs ?? 0) - (b.dueMs ?? 0));
}

/** Of a list in the order of due times, those in [fromMs, untilMs). */
function within<T extends { readonly dueMs?: EpochMs }>(sorted: readonly T[], fromMs: EpochMs, untilMs: EpochMs): T[] {
  const firstFrom = (ms: EpochMs) => placeOf(sorted, ({ dueMs = 0 }) => dueMs < ms);
  return sorted.slice(firstFrom(fromMs), firstFrom(untilMs));
}
