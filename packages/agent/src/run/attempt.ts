/**
 * One attempt of an execution, straight through: folder, command, process, output, outcome. The process is run by the supervisor; what
 * comes back is what the kernel said. Etcd away: nothing here asks it, but an `alone` attempt starts only while its lock can be trusted.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import { toIso } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Job } from "fleetcron-shared/model/job";
import type { ExecutionRecord, Outcome } from "fleetcron-shared/model/record";
import type { Session } from "fleetcron-shared/store/session";
import type { Procs } from "../report/procs.ts";
import { prepareCommand } from "../runners/command.ts";
import { readTail } from "../runners/output-tail.ts";
import type { Users } from "../runners/users.ts";
import type { ActiveExecution, Executions } from "./executions.ts";
import type { Journal } from "./journal.ts";
import type { PendingStarts } from "./pending-starts.ts";
import { isSuccess } from "./success.ts";
import type { Supervisor } from "./supervisor.ts";

export type AttemptDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly session: Session;
  readonly supervisor: Supervisor;
  readonly journal: Journal;
  readonly executions: Executions;
  readonly procs: Procs;
  readonly starts: PendingStarts;
  readonly users: Users;
  /** Whom the agent runs as. */
  readonly own: { readonly uid: number; readonly gid: number };
  readonly nodeId: string;
  /** Holds a log per attempt (and a folder for its input) while it runs, and the logs that did not fit into their record. */
  readonly execDir: string;
};

export type AttemptEnd = {
  readonly outcome: Outcome;
  readonly success: boolean;
  readonly endMs: number;
  readonly durationMs: number | undefined;
  readonly command: string;
  readonly output: ExecutionRecord["output"] | undefined;
  readonly procKey: string | undefined;
};

export async function runAttempt(deps: AttemptDeps, execution: ActiveExecution): Promise<AttemptEnd> {
  const startIsOver = deps.starts.begin();
  try {
    return await attempt(deps, execution, startIsOver);
  } finally {
    startIsOver();
  }
}

async function attempt(deps: AttemptDeps, execution: ActiveExecution, startIsOver: () => void): Promise<AttemptEnd> {
  const { job } = execution;
  const folder = join(deps.execDir, `${execution.id}-${execution.attempt}`);
  const logPath = `${folder}.log`;
  const command = describeCommand(execution);
  const notStarted = (outcome: Outcome): AttemptEnd => {
    discard(folder, logPath, job);
    return { outcome, success: false, endMs: deps.clock.now(), durationMs: undefined, command, output: undefined, procKey: undefined };
  };

  deps.executions.move(execution, "running");
  const committed = deps.journal.committed();
  let spec: Awaited<ReturnType<typeof prepareCommand>>;
  try {
    if (needsFolder(job)) mkdirSync(folder, { recursive: true });
    spec = await prepareCommand(deps, job, {
      execution: execution.id,
      attempt: execution.attempt,
      folder,
      env: environment(deps, execution),
    });
  } catch (thrown) {
    return notStarted({ type: "spawnFailed", error: asError(thrown).message });
  }
  await committed;
  if (execution.killRequest !== undefined) return notStarted({ type: "killed", ...execution.killRequest });
  const deadline = lockDeadline(deps, execution);
  if (deadline === "lost") return notStarted({ type: "lockLost" });

  const running = deps.supervisor.start({ ...spec, logPath, ...(deadline === undefined ? {} : { deadlineMono: deadline }) });
  execution.onKill = (request) => running.kill(request.by, request.reason);
  const started = await running.started;
  startIsOver();
  if (started !== undefined) {
    execution.pid = started.pid;
    execution.beginMs = started.startedAtMs;
    deps.executions.begun(execution);
    deps.procs.started({
      execution: execution.id,
      group: job.group,
      job: job.id,
      attempt: execution.attempt,
      pid: started.pid,
      startedAtMs: started.startedAtMs,
      ...(execution.origin.ruleId === undefined ? {} : { ruleId: execution.origin.ruleId }),
      ...(execution.origin.dueMs === undefined ? {} : { dueAt: toIso(execution.origin.dueMs) }),
      ...(execution.origin.type === "order" ? { orderId: execution.origin.orderId } : {}),
      ...(execution.fence === undefined ? {} : { fence: execution.fence }),
    });
  }
  const end = await running.ended;
  execution.onKill = undefined;
  const procKey = deps.procs.ended(execution.id);
  const output = takeOutput(deps, folder, logPath, job);
  return {
    outcome: end.outcome,
    success: isSuccess(job, end.outcome, output?.tail ?? ""),
    endMs: end.endedAtMs,
    durationMs: end.durationMs,
    command,
    output,
    procKey,
  };
}

/** Until when the execution may run: `lost` when its lock is no longer ours, undefined when it needs none. */
function lockDeadline(deps: AttemptDeps, execution: ActiveExecution): number | "lost" | undefined {
  if (execution.lock === undefined) return undefined;
  const incarnation = deps.session.current();
  return incarnation === undefined || incarnation.epoch !== execution.lock.epoch ? "lost" : incarnation.trustedUntil();
}

/** Reads what the record keeps of the output; the log stays only when there was more. */
function takeOutput(deps: AttemptDeps, folder: string, logPath: string, job: Job): ExecutionRecord["output"] | undefined {
  try {
    const output = readTail(logPath, job.log.tailBytes);
    if (output.cutBytes === 0) discard(folder, logPath, job);
    return output.totalBytes === 0 ? undefined : output;
  } catch (thrown) {
    deps.log.warn({ path: logPath, error: asError(thrown).message }, "cannot read an execution's output");
    return undefined;
  }
}

/** A folder of its own costs an execution as much as the start of its process: only where something is put into it. */
function needsFolder(job: Job): boolean {
  return job.run.command.stdin !== undefined;
}

function discard(folder: string, logPath: string, job: Job): void {
  rmSync(logPath, { force: true });
  if (needsFolder(job)) rmSync(folder, { recursive: true, force: true });
}

/** The job's variables, then the order's, then ours, which cannot be overridden. */
function environment(deps: AttemptDeps, execution: ActiveExecution): Record<string, string> {
  const { job, origin } = execution;
  return {
    ...job.env,
    ...(origin.type === "order" ? origin.env : undefined),
    FLEETCRON_GROUP: job.group,
    FLEETCRON_JOB: job.id,
    FLEETCRON_EXECUTION: execution.id,
    FLEETCRON_ATTEMPT: String(execution.attempt),
    FLEETCRON_NODE: deps.nodeId,
    ...(origin.dueMs === undefined ? {} : { FLEETCRON_DUE: toIso(origin.dueMs) }),
    ...(execution.fence === undefined ? {} : { FLEETCRON_FENCE: String(execution.fence) }),
  };
}

/** The command as one line for people, at most 500 characters. */
function describeCommand(execution: ActiveExecution): string {
  const { command } = execution.job.run;
  const text = command.script ?? (command.argv ?? []).join(" ");
  return text.length <= 500 ? text : `${text.slice(0, 499)}…`;
}
