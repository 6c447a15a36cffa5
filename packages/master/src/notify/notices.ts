/**
 * The notice that a job's record gives rise to, and what its job's statistics keep of failures. Pure; the caller sees to it that each record
 * counts once. Pipelines make theirs with `noticesOf`.
 */
import type { Failing, JobStats } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { NO_NODE } from "fleetcron-shared/model/missed";
import type { Notice, NoticeData, NoticeSubject, Severity } from "fleetcron-shared/model/notice";
import type { NotifyEvent, NotifyRule } from "fleetcron-shared/model/notify-rules";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { type Happening, type Judgement, judge } from "./streaks.ts";
import { cut, recordTitle } from "./words.ts";

/** History that `slow` needs, and how far beyond it a run must be. */
const SLOW = { runs: 10, factor: 2, deviations: 4, leastMs: 1000 } as const;
/** Nodes of a `common` job whose streaks are kept; failures of further ones are told each time, and their recovery is not. */
const MAX_FAILING = 200;
/** Reasons for which a tick did not run that nobody has chosen: they count as missed. */
const UNWANTED_SKIPS: readonly string[] = ["policy", "secrets", "diskFull", "capacity", "isolated"];
/** What one notice is put into at most. */
const MAX_RECIPIENTS = 50;
const MAX_MENTIONS = 20;
const MAX_MESSAGE = 500;
/** Of the output's end. */
const OUTPUT_CHARS = 600;

type NotifiedJob = Pick<Job, "group" | "id" | "name" | "kind" | "notify" | "retry">;
type About = {
  /** Stable: the same fact has the same id. */
  readonly id: string;
  readonly at: string;
  readonly subject: NoticeSubject;
  readonly data: NoticeData;
  readonly output?: string;
  title(events: readonly NotifyEvent[]): string;
};

/** What is told of `happening` by `rules`, and the streak after it: for jobs, pipelines and their tasks. */
export function noticesOf(
  rules: readonly NotifyRule[],
  happening: Happening,
  before: Failing | undefined,
  about: About,
): { readonly notice: Notice | undefined; readonly failing: Failing | undefined } {
  const judgement = judge(rules, happening, before);
  const { id, at, subject, data, output } = about;
  const { events, to, failing } = judgement;
  if (to.length === 0) return { notice: undefined, failing };
  const severity = severityOf(judgement, happening);
  const title = about.title(events);
  const notice: Notice = {
    v: 1,
    id,
    at,
    events,
    severity,
    title,
    subject,
    data,
    ...(output === undefined ? {} : { output }),
    to: to.slice(0, MAX_RECIPIENTS).map(({ channel, mention }) => ({ channel, mention: mention.slice(0, MAX_MENTIONS) })),
  };
  return { notice, failing };
}

/**
 * The statistics with the failures of `job` brought up to date, and the notice of `record` if there is one. `stats`: before it was counted; `counted`:
 * after. `replaced`: the provisional record whose place it takes.
 */
export function noticesOfRecord(
  job: NotifiedJob | undefined,
  record: ExecutionRecord,
  stats: JobStats,
  counted: JobStats,
  replaced: ExecutionRecord | undefined,
): { readonly stats: JobStats; readonly notice: Notice | undefined } {
  const { failing: kept, ...rest } = counted;
  if (job === undefined || job.notify.length === 0) return { stats: rest, notice: undefined };
  const scope = job.kind === "common" ? record.nodeId : "*";
  const before = kept?.[scope];
  const { notice, failing } = noticesOf(job.notify, happeningOf(record, stats), withoutReplaced(before, replaced), {
    id: replaced === undefined ? record.id : `${record.id}.true`,
    at: record.endTime,
    subject: { kind: "job", group: job.group, id: job.id, name: job.name },
    data: dataOf(record, stats),
    ...(record.output === undefined || record.output.tail === "" ? {} : { output: record.output.tail.slice(-OUTPUT_CHARS) }),
    title: (events) => recordTitle(job, record, events, { failing: before, usualMs: stats.avgTimeMs }),
  });
  const { [scope]: _, ...others } = kept ?? {};
  const next = failing === undefined || Object.keys(others).length >= MAX_FAILING ? others : { ...others, [scope]: failing };
  return { stats: Object.keys(next).length === 0 ? rest : { ...rest, failing: next }, notice };
}

/** What `record` means, seen against the statistics before it. */
export function happeningOf(record: ExecutionRecord, stats: JobStats): Happening {
  const { outcome } = record;
  const also: NotifyEvent[] = [];
  if (outcome.type === "lost" || outcome.type === "timeout") also.push(outcome.type);
  if (
    (outcome.type === "missed" && !isToldByAuditor(record, stats)) ||
    (outcome.type === "skipped" && UNWANTED_SKIPS.includes(outcome.reason))
  )
    also.push("missed");
  if (didRun(outcome) && isSlow(record.durationMs ?? 0, stats)) also.push("slow");
  if (!didRun(outcome)) return { also, result: "none" };
  return { also, result: record.success ? "success" : record.finalAttempt ? "finalFailure" : "failure" };
}

/** The auditor has found it missed, and told of it, before the node said so itself. */
function isToldByAuditor(record: ExecutionRecord, { missedUntil }: JobStats): boolean {
  const last = record.dueUntil ?? record.dueAt;
  return record.provisional !== true && missedUntil !== undefined && last !== undefined && last <= missedUntil;
}

function isSlow(durationMs: number, stats: JobStats): boolean {
  const { avgTimeMs, deviationMs = 0 } = stats;
  if (stats.successCount + stats.failureCount < SLOW.runs) return false;
  return durationMs > Math.max(avgTimeMs * SLOW.factor, avgTimeMs + deviationMs * SLOW.deviations, avgTimeMs + SLOW.leastMs);
}

/** A provisional failure counts no more once the true record is there; what was told stays told. */
function withoutReplaced(before: Failing | undefined, replaced: ExecutionRecord | undefined): Failing | undefined {
  if (before === undefined || replaced === undefined) return before;
  return { ...before, final: Math.max(0, before.final - (replaced.finalAttempt ? 1 : 0)), attempts: Math.max(0, before.attempts - 1) };
}

function dataOf(record: ExecutionRecord, stats: JobStats): NoticeData {
  const { nodeId, execution, attempt, success, dueAt, beginTime, endTime, durationMs, finalAttempt } = record;
  const data: Record<string, string | number | boolean | undefined> = {
    node: nodeId === NO_NODE ? undefined : nodeId,
    outcome: outcomeWord(record.outcome),
    message: record.result?.message === undefined ? undefined : cut(record.result.message, MAX_MESSAGE),
    success,
    dueAt,
    beginTime,
    endTime,
    durationMs,
    ...(didRun(record.outcome) && stats.successCount + stats.failureCount > 0 ? { usualMs: Math.round(stats.avgTimeMs) } : {}),
    attempt,
    finalAttempt,
    execution,
    record: record.id,
  };
  return Object.fromEntries(Object.entries(data).filter((pair): pair is [string, string | number | boolean] => pair[1] !== undefined));
}

const GOOD: readonly NotifyEvent[] = ["recovery", "success"];

function severityOf({ events }: Judgement, { result, also }: Happening): Severity {
  const [main] = events;
  if (main === "slow") return "warn";
  if (main === "waiting" || main === "cancelled") return "info";
  if (main !== undefined && GOOD.includes(main)) return "good";
  if (main === "every")
    return result === "none"
      ? also.some((event) => event === "missed" || event === "taskFailed")
        ? "bad"
        : "info"
      : result === "success"
        ? "good"
        : "bad";
  return "bad";
}
