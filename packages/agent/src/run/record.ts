/** Building execution records. Pure: who runs it, what it was, how it ended. */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import type { Job } from "fleetcron-shared/model/job";
import type { ExecutionRecord, Outcome } from "fleetcron-shared/model/record";
import type { TickRange } from "../plan/misfire.ts";
import type { HostEnd } from "../runners/runner.ts";
import type { Origin } from "./execution.ts";
import { isDone } from "./success.ts";

/** The host that a record comes from. */
export type Host = { readonly nodeId: string; readonly hostname: string };

/** What a record says of its job. */
export type NamedJob = Pick<Job, "group" | "id" | "revision" | "name"> & Partial<Pick<Job, "eventId">>;

export type AttemptFacts = {
  readonly execution: string;
  readonly job: NamedJob;
  readonly origin: Origin;
  readonly attempt: number;
  readonly finalAttempt: boolean;
  readonly outcome: Outcome;
  readonly success: boolean;
  readonly endMs: EpochMs;
  readonly beginMs?: EpochMs | undefined;
  readonly durationMs?: number | undefined;
  readonly pid?: number | undefined;
  readonly fence?: number | undefined;
  readonly command?: string | undefined;
  readonly user?: string | undefined;
  readonly host?: string | undefined;
  readonly output?: ExecutionRecord["output"] | undefined;
  readonly result?: ExecutionRecord["result"] | undefined;
  readonly usage?: ExecutionRecord["usage"] | undefined;
  readonly logRef?: string | undefined;
  /** For a range verdict: the ticks that it covers instead of one due time. */
  readonly range?: TickRange | undefined;
};

export function recordId(execution: string, attempt: number): string {
  return `${execution}-${attempt}`;
}

export function recordOf(host: Host, facts: AttemptFacts): ExecutionRecord {
  const { job, origin } = facts;
  const dueMs = facts.range?.firstMs ?? origin.dueMs;
  return dropUndefined({
    v: 1,
    id: recordId(facts.execution, facts.attempt),
    execution: facts.execution,
    jobGroup: job.group,
    jobId: job.id,
    jobRevision: job.revision,
    ruleId: origin.ruleId,
    dueAt: iso(dueMs),
    dueUntil: iso(facts.range?.lastMs),
    dueCount: facts.range?.count,
    orderId: origin.type === "order" ? origin.orderId : undefined,
    eventId: job.eventId,
    attempt: facts.attempt,
    finalAttempt: facts.finalAttempt,
    nodeId: host.nodeId,
    hostname: host.hostname,
    user: facts.user,
    host: facts.host,
    name: job.name,
    command: facts.command,
    pid: facts.pid,
    fence: facts.fence,
    beginTime: iso(facts.beginMs),
    endTime: toIso(facts.endMs),
    skewMs: facts.beginMs === undefined || dueMs === undefined ? undefined : facts.beginMs - dueMs,
    durationMs: facts.durationMs,
    success: facts.success,
    outcome: facts.outcome,
    output: facts.output,
    logRef: facts.logRef,
    result: facts.result,
    usage: facts.usage,
    isHandled: false,
  });
}

/** Where an ssh job on one host ran. */
export function onlyHostOf({ run: { ssh } }: Pick<Job, "run">): string | undefined {
  return ssh?.hosts.length === 1 ? ssh.hosts[0] : undefined;
}

/** The record of one of several hosts, beside the one of the whole attempt. The number of the host makes its id, so that a replay writes the same. */
export function hostRecord(whole: ExecutionRecord, job: Job, end: HostEnd): ExecutionRecord {
  const { orderId: _, fence: _fence, output: _output, result: _result, logRef: _log, ...rest } = whole;
  const execution = `${whole.execution}.${(job.run.ssh?.hosts.indexOf(end.host) ?? 0) + 1}`;
  return {
    ...rest,
    id: recordId(execution, whole.attempt),
    execution,
    partOf: whole.execution,
    host: end.host,
    beginTime: toIso(end.startedAtMs),
    endTime: toIso(end.startedAtMs + end.durationMs),
    durationMs: end.durationMs,
    success: isDone(job, end.outcome),
    outcome: end.outcome,
  };
}

function iso(ms: EpochMs | undefined): string | undefined {
  return ms === undefined ? undefined : toIso(ms);
}

type Loose<T> = { [K in keyof T]: undefined extends T[K] ? T[K] | undefined : T[K] };
type WithUndefined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: T[K] | undefined;
};

/** JSON leaves undefined out; so do our types. */
function dropUndefined(record: WithUndefined<Loose<ExecutionRecord>>): ExecutionRecord {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as ExecutionRecord;
}
