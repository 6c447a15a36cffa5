/**
 * One attempt of an execution, straight through: secrets, command, process, output, result, outcome. The process belongs to a spawner and outlives the agent:
 * the next one comes in again at `resumeAttempt`. What comes back is what the kernel said. Etcd away: nothing here asks it, but an `alone` attempt starts only
 * while its lock can be trusted.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Job } from "fleetcron-shared/model/job";
import type { ExecutionRecord, Outcome } from "fleetcron-shared/model/record";
import { describeRun } from "fleetcron-shared/model/runners/describe";
import type { Session } from "fleetcron-shared/store/session";
import { capLimits } from "../logs/cap.ts";
import { finishLog } from "../logs/compact.ts";
import { originFacts, type Procs } from "../report/procs.ts";
import { readTail } from "../runners/output-tail.ts";
import type { HostEnd } from "../runners/runner.ts";
import type { Masker } from "../secrets/masker.ts";
import type { Secrets } from "../secrets/secrets.ts";
import type { PassPoint } from "../spawner/kill-points.ts";
import { type AttemptFiles, attemptFiles, removeFiles } from "./attempt-files.ts";
import type { ActiveExecution, Executions } from "./executions.ts";
import type { Journal } from "./journal.ts";
import type { PendingStarts } from "./pending-starts.ts";
import { type PrepareDeps, prepare } from "./prepare.ts";
import { dropResult, takeResult } from "./result.ts";
import { isSuccess } from "./success.ts";
import type { Running, SessionStart, StartSpec, Supervisor } from "./supervisor.ts";

export type AttemptDeps = PrepareDeps & {
  readonly clock: Clock;
  readonly log: Log;
  readonly session: Session;
  readonly supervisor: Supervisor;
  readonly journal: Journal;
  readonly executions: Executions;
  readonly procs: Procs;
  readonly starts: PendingStarts;
  readonly passPoint: PassPoint;
  readonly secrets: Pick<Secrets, "maskerOf">;
};

export type AttemptEnd = Pick<ExecutionRecord, "outcome" | "success" | "command" | "output" | "result" | "usage" | "logRef"> & {
  readonly endMs: number;
  readonly durationMs: number | undefined;
  readonly procKey: string | undefined;
  /** Of a job on several hosts: each. */
  readonly hosts: readonly HostEnd[];
  /** No further attempt before so much time. */
  readonly retryAfterMs: number;
  /** Call it when the record is safe: the attempt's files and the spawner's memory of it are no longer needed. */
  readonly forget: () => void;
};

/** Starts the next attempt of an execution and sees it to its end. */
export async function runAttempt(deps: AttemptDeps, execution: ActiveExecution): Promise<AttemptEnd> {
  const startIsOver = deps.starts.begin();
  const files = attemptFiles(deps.execDir, execution.id, execution.attempt);
  try {
    deps.passPoint("claimed");
    deps.executions.move(execution, "running");
    const committed = deps.journal.committed();
    const prepared = await prepare(deps, execution);
    deps.passPoint("filesMade");
    await committed;
    deps.passPoint("committed");
    const started = "outcome" in prepared ? prepared.outcome : start(deps, execution, prepared.spec);
    deps.passPoint("handedOver");
    if ("type" in started) return notStarted(deps, execution, files, started);
    return await watch(deps, execution, files, started, startIsOver);
  } finally {
    startIsOver();
  }
}

/** Sees an attempt to its end that an earlier agent process has started. */
export function resumeAttempt(deps: AttemptDeps, execution: ActiveExecution, running: Running): Promise<AttemptEnd> {
  return watch(deps, execution, attemptFiles(deps.execDir, execution.id, execution.attempt), running, () => {});
}

/** Hands the attempt to a spawner, unless it must not be any more. */
function start(deps: AttemptDeps, execution: ActiveExecution, spec: StartSpec | SessionStart): Running | Outcome {
  if (execution.killRequest !== undefined) return { type: "killed", ...execution.killRequest };
  const deadline = lockDeadline(deps, execution);
  if (deadline === "lost") return { type: "lockLost" };
  return deps.supervisor.start(deadline === undefined ? spec : { ...spec, deadlineMono: deadline });
}

async function watch(
  deps: AttemptDeps,
  execution: ActiveExecution,
  files: AttemptFiles,
  running: Running,
  startIsOver: () => void,
): Promise<AttemptEnd> {
  const { job } = execution;
  execution.onKill = (request) => running.kill(request.by, request.reason);
  if (execution.killRequest !== undefined) execution.onKill(execution.killRequest);
  const started = await running.started;
  startIsOver();
  deps.passPoint("spawned");
  if (started !== undefined) {
    execution.pid = started.pid === 0 ? undefined : started.pid;
    execution.beginMs = started.startedAtMs;
    deps.executions.begun(execution);
    showProc(deps, execution, started);
  }
  deps.passPoint("registered");
  const ended = await running.ended;
  deps.passPoint("ended");
  execution.onKill = undefined;
  const masker = deps.secrets.maskerOf(files.base, job);
  const raw = takeOutput(deps, files, job);
  const output = masker.output(raw);
  const keepLog = output !== undefined && output.cutBytes > 0;
  const result = takeResult({ log: deps.log, mask: masker.text }, files.result, job);
  return {
    outcome: ended.outcome,
    success: isSuccess(job, ended.outcome, raw?.tail ?? "") && result?.status !== "failed",
    command: masker.text(describeRun(job.run)),
    endMs: ended.endedAtMs,
    durationMs: ended.durationMs,
    procKey: deps.procs.ended(execution.id),
    hosts: ended.hosts ?? [],
    retryAfterMs: ended.retryAfterMs ?? 0,
    ...(output === undefined ? {} : { output }),
    ...(result === undefined ? {} : { result }),
    ...(ended.usage === undefined ? {} : { usage: ended.usage }),
    ...(keepLog ? { logRef: `${deps.nodeId}:${execution.id}-${execution.attempt}` } : {}),
    forget: forgetter(deps, execution, files, keepLog ? masker : undefined),
  };
}

function notStarted(deps: AttemptDeps, execution: ActiveExecution, files: AttemptFiles, outcome: Outcome): AttemptEnd {
  const command = deps.secrets.maskerOf(files.base, execution.job).text(describeRun(execution.job.run));
  const forget = forgetter(deps, execution, files, undefined);
  const endMs = deps.clock.now();
  return { outcome, success: false, command, endMs, durationMs: undefined, procKey: undefined, hosts: [], retryAfterMs: 0, forget };
}

/** `keptLog`: the log stays, and this masks it; what that needs goes last. */
function forgetter(deps: AttemptDeps, execution: ActiveExecution, files: AttemptFiles, keptLog: Masker | undefined): () => void {
  const { id, job, attempt } = execution;
  const remove = async () => {
    deps.supervisor.noted({ execution: id, attempt });
    dropResult(files.result);
    if (keptLog !== undefined) await finishLog(files.log, keptLog.log, capLimits(job.log.maxBytes));
    removeFiles(files, job, { keepLog: keptLog !== undefined });
    deps.passPoint("filesRemoved");
  };
  return () =>
    void remove().catch((thrown: unknown) =>
      deps.log.warn({ path: files.base, error: asError(thrown).message }, "cannot put away the files of an execution"),
    );
}

function showProc(deps: AttemptDeps, execution: ActiveExecution, started: { pid: number; startedAtMs: number }): void {
  const { id, job, origin, attempt, fence } = execution;
  deps.procs.started({
    execution: id,
    group: job.group,
    job: job.id,
    attempt,
    pid: started.pid,
    startedAtMs: started.startedAtMs,
    ...originFacts(origin),
    ...(fence === undefined ? {} : { fence }),
  });
}

/** Until when the execution may run: `lost` when its lock is no longer ours, undefined when it needs none. */
function lockDeadline(deps: AttemptDeps, execution: ActiveExecution): number | "lost" | undefined {
  if (execution.lock === undefined) return undefined;
  const incarnation = deps.session.current();
  return incarnation === undefined || incarnation.epoch !== execution.lock.epoch ? "lost" : incarnation.trustedUntil();
}

/** What the record keeps of the output. */
function takeOutput(deps: AttemptDeps, files: AttemptFiles, job: Job): ExecutionRecord["output"] {
  try {
    const output = readTail(files.log, job.log.tailBytes);
    return output.totalBytes === 0 ? undefined : output;
  } catch (thrown) {
    deps.log.warn({ path: files.log, error: asError(thrown).message }, "cannot read an execution's output");
    return undefined;
  }
}
