/** Which attempt of an execution was lost with its node, and the provisional record that says so. Pure. */
import { idTimeMs } from "fleetcron-shared/base/ids";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import type { JobRef } from "../job-ref.ts";

/** An execution that a gone node had begun or claimed. */
export type Suspect = JobRef & {
  readonly node: string;
  readonly execution: string;
  /** Known from a process entry; a claim only says that the first attempt was about to start. */
  readonly attempt: number;
  readonly ruleId?: string | undefined;
  readonly dueAt?: string | undefined;
  readonly orderId?: string | undefined;
  readonly startedAt?: string | undefined;
  readonly pid?: number | undefined;
  readonly fence?: number | undefined;
};

/** What is known of an attempt: filed, or still in the inbox. */
export type KnownAttempt = { readonly attempt: number; readonly final: boolean };

/** The attempt without a record, or undefined when the execution has come to its end. */
export function lostAttempt(suspect: Pick<Suspect, "attempt">, known: readonly KnownAttempt[]): number | undefined {
  if (known.some(({ final }) => final)) return undefined;
  const newest = Math.max(0, ...known.map(({ attempt }) => attempt));
  return Math.max(suspect.attempt, newest + 1);
}

/**
 * Whether a record of `execution` may have been there and gone by retention: at least `retain.count` newer ones are left, or it is too old.
 * `newer`: how many records of the job with a later id there are.
 */
export function mayBePruned(execution: string, newer: number, retain: { count: number; ageMs: number }, nowMs: number): boolean {
  const madeAt = idTimeMs(execution);
  return newer >= retain.count || (madeAt !== undefined && retain.ageMs > 0 && nowMs - madeAt >= retain.ageMs);
}

/** The record of a lost attempt. Its end is when it was found lost; the node's own record replaces it when the node returns. */
export function lostRecord(
  suspect: Suspect,
  attempt: number,
  known: { endTime: string; hostname: string; name: string; jobRevision: number },
): ExecutionRecord {
  const { ruleId, dueAt, orderId, startedAt, pid, fence } = suspect;
  const started = attempt === suspect.attempt;
  return {
    v: 1,
    id: `${suspect.execution}-${attempt}`,
    execution: suspect.execution,
    jobGroup: suspect.group,
    jobId: suspect.id,
    jobRevision: known.jobRevision,
    ...(ruleId === undefined ? {} : { ruleId }),
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(orderId === undefined ? {} : { orderId }),
    attempt,
    finalAttempt: true,
    nodeId: suspect.node,
    hostname: known.hostname,
    name: known.name,
    ...(pid === undefined || !started ? {} : { pid }),
    ...(fence === undefined ? {} : { fence }),
    ...(startedAt === undefined || !started ? {} : { beginTime: startedAt }),
    endTime: known.endTime,
    success: false,
    outcome: { type: "lost", why: "nodeGone" },
    provisional: true,
    isHandled: false,
  };
}
