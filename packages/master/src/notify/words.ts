/** What happened to a job, in words: titles of notices, names of facts. Pure. */
import { formatDuration } from "fleetcron-shared/base/duration";
import type { Failing } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { NO_NODE } from "fleetcron-shared/model/missed";
import type { NotifyEvent } from "fleetcron-shared/model/notify-rules";
import type { ExecutionRecord, Outcome } from "fleetcron-shared/model/record";

const MAX_TITLE = 300;

/** One line that says which job, what, where and why. */
export function recordTitle(
  job: Pick<Job, "group" | "id" | "kind" | "retry">,
  record: ExecutionRecord,
  events: readonly NotifyEvent[],
  history: { failing: Failing | undefined; usualMs: number },
): string {
  return cut(`${job.group}/${job.id} ${predicate(job, record, events, history)}`, MAX_TITLE);
}

function predicate(
  job: Pick<Job, "kind" | "retry">,
  record: ExecutionRecord,
  events: readonly NotifyEvent[],
  { failing, usualMs }: { failing: Failing | undefined; usualMs: number },
): string {
  const { outcome, nodeId } = record;
  const slow = events.includes("slow") ? `; it took ${rough(record.durationMs)}, usually ${rough(usualMs)}` : "";
  if (outcome.type === "missed" || outcome.type === "skipped") {
    const times = (record.dueCount ?? 1) > 1 ? ` ${record.dueCount} times` : "";
    const due = record.dueAt === undefined ? "" : `, due ${record.dueAt}`;
    return `${outcome.type === "missed" ? "was missed" : "was skipped"}${times}${nodeId === NO_NODE ? "" : ` on ${nodeId}`}: ${outcomeText(outcome)}${due}`;
  }
  if (record.success) {
    if (events[0] === "recovery") return `works again on ${nodeId}, after ${times(failing?.attempts ?? 1, "failure")}${slow}`;
    return `succeeded on ${nodeId}${slow === "" ? ` in ${rough(record.durationMs)}` : slow}`;
  }
  const again = record.finalAttempt
    ? record.attempt > 1
      ? ` (attempt ${record.attempt}, the last)`
      : ""
    : ` (attempt ${record.attempt} of ${job.retry.limit + 1}; it is tried again)`;
  const streak = (failing?.final ?? 0) + 1;
  const row = record.finalAttempt && streak > 1 ? `; ${times(streak, "failure")} in a row` : "";
  const why = record.result?.status === "failed" ? (record.result.message ?? "its result says so") : outcomeText(outcome);
  return `failed on ${nodeId}: ${why}${again}${row}${slow}`;
}

const MISSED = {
  nodeOffline: "the node was offline (nodeOffline)",
  noMatchingNode: "no node matches (noMatchingNode)",
  misfireWindow: "too old when an agent was there again (misfireWindow)",
  unknown: "nobody has run or reported it (unknown)",
} as const;

/** Why it ended so, for people. */
export function outcomeText(outcome: Outcome): string {
  switch (outcome.type) {
    case "exit":
      return `exit code ${outcome.code}`;
    case "signal":
      return `ended by ${outcome.name}${outcome.sender === undefined ? "" : `, ${outcome.sender}`}`;
    case "timeout":
      return `not done within ${formatDuration(outcome.afterMs)}`;
    case "killed":
      return `killed by ${outcome.by}${outcome.reason === "" ? "" : `: ${outcome.reason}`}`;
    case "oom":
      return "out of memory";
    case "spawnFailed":
      return `could not be started: ${outcome.error}`;
    case "unreachable":
      return `could not be reached: ${outcome.error}`;
    case "failed":
      return `${outcome.error} (${outcome.code})`;
    case "lost":
      return outcome.why === "nodeGone" ? "the node is gone" : `nobody knows how it ended (${outcome.why})`;
    case "lockLost":
      return "its lock was lost";
    case "skipped":
      return outcome.detail === undefined ? outcome.reason : `${outcome.reason}: ${outcome.detail}`;
    case "missed":
      return MISSED[outcome.reason];
  }
}

/** A duration for people: whole seconds from one on. */
export function rough(ms: number | undefined): string {
  if (ms === undefined) return "unknown time";
  if (ms < 1) return "0s";
  return formatDuration(ms < 1000 ? ms : ms < 10_000 ? Math.round(ms / 100) * 100 : Math.round(ms / 1000) * 1000);
}

export function times(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** At most `max` characters, the last one "…" when there were more; control characters become spaces. */
export function cut(text: string, max: number): string {
  const flat = text.replace(/\p{Cc}+/gu, " ");
  return flat.length <= max ? flat : `${flat.slice(0, max - 1).toWellFormed()}…`;
}
