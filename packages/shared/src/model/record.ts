/** What ended, was skipped or was lost: the execution record and its closed unions. One per attempt or skipped tick. */

import type { FailureCode } from "./failures.ts";
import type { ExecutionResult } from "./result.ts";

/** How an attempt ended; the first cause wins. */
export type Outcome =
  | { readonly type: "exit"; readonly code: number }
  /** `sender`: who most likely sent it, in words. */
  | { readonly type: "signal"; readonly name: string; readonly sender?: string }
  | { readonly type: "timeout"; readonly afterMs: number }
  | { readonly type: "killed"; readonly by: string; readonly reason: string }
  | { readonly type: "oom" }
  | { readonly type: "spawnFailed"; readonly error: string }
  /** A host, server or cluster could not be reached: nothing was begun there. */
  | { readonly type: "unreachable"; readonly error: string }
  /** A session failed other than by an exit code; `code` is a row of FAILURES. */
  | { readonly type: "failed"; readonly code: FailureCode; readonly error: string }
  | { readonly type: "lost"; readonly why: LostWhy }
  | { readonly type: "lockLost" }
  | { readonly type: "skipped"; readonly reason: SkipReason; readonly detail?: string }
  | { readonly type: "missed"; readonly reason: MissReason };

/**
 * `agentStopped`: the agent died before it started the process; `supervisor`: the process that waited for it was killed, so nobody knows how it ended;
 * `session`: the session that followed it is gone, and it cannot be found again at the other end; `nodeGone`: the node's session ended and did not return in time; `reboot`: the host was started again meanwhile.
 */
export type LostWhy = "agentStopped" | "supervisor" | "session" | "nodeGone" | "reboot";
export type SkipReason = "overlap" | "isolated" | "drained" | "capacity" | "misfireSkip" | "cancelled" | "policy" | "secrets" | "diskFull";
export type MissReason = "nodeOffline" | "noMatchingNode" | "misfireWindow" | "unknown";

/** The value of `inbox/<node>/<id>` (not handled yet) and `records/<group>/<job>/<id>` (filed). Optional fields are absent when they do not apply. */
export type ExecutionRecord = {
  readonly v: 1;
  /** `<execution>-<attempt>`, time-ordered. */
  readonly id: string;
  readonly execution: string;
  readonly jobGroup: string;
  readonly jobId: string;
  readonly jobRevision: number;
  readonly ruleId?: string;
  /** The tick; for a range verdict (many ticks skipped at once) the first of them. */
  readonly dueAt?: string;
  /** Range verdicts only: the last tick of the range, and how many ticks it covers. */
  readonly dueUntil?: string;
  readonly dueCount?: number;
  readonly orderId?: string;
  /** Of a pipeline's run: the run and its task, set when the leader files it. */
  readonly runId?: string;
  readonly taskId?: string;
  readonly eventId?: string;
  /** From 1. */
  readonly attempt: number;
  readonly finalAttempt: boolean;
  readonly nodeId: string;
  readonly hostname: string;
  readonly user?: string;
  /** Of an ssh job: where it ran. */
  readonly host?: string;
  /** Of one of several hosts: the execution that it belongs to, whose own record counts for statistics, messages and pipelines. */
  readonly partOf?: string;
  readonly name: string;
  /** What was run, as one line for people. */
  readonly command?: string;
  readonly pid?: number;
  readonly fence?: number;
  readonly beginTime?: string;
  readonly endTime: string;
  /** Begin minus due. */
  readonly skewMs?: number;
  readonly durationMs?: number;
  readonly success: boolean;
  readonly outcome: Outcome;
  /** Tail of stdout and stderr, U+FFFD for what is not UTF-8; `cutBytes` were left out before it. */
  readonly output?: { readonly tail: string; readonly cutBytes: number; readonly totalBytes: number };
  /** `node:execution-attempt` of the full log on the agent's disk. */
  readonly logRef?: string;
  /** What the command has handed back. */
  readonly result?: ExecutionResult;
  /** What the process and the children that it waited for have used. */
  readonly usage?: { readonly cpuMs: number; readonly maxRssKiB: number };
  /** Written by the leader for a node that is gone (the undertaker) or says nothing (the auditor): what the node reports takes its place. */
  readonly provisional?: boolean;
  /** Set when the leader has filed it. */
  readonly isHandled: boolean;
  readonly handleTime?: string;
};

/** Stable word for an outcome in listings and metrics: `exit:0`, `signal:SIGKILL`, `skipped:overlap`, `lost:nodeGone` … */
export function outcomeWord(outcome: Outcome): string {
  switch (outcome.type) {
    case "exit":
      return `exit:${outcome.code}`;
    case "signal":
      return `signal:${outcome.name}`;
    case "lost":
      return `lost:${outcome.why}`;
    case "failed":
      return `failed:${outcome.code}`;
    case "skipped":
    case "missed":
      return `${outcome.type}:${outcome.reason}`;
    default:
      return outcome.type;
  }
}

/** Whether a process was started for this record. */
export function didRun(outcome: Outcome): boolean {
  return outcome.type !== "skipped" && outcome.type !== "missed";
}
