/**
 * From an execution to what a spawner or a session host is told to run: local policy, secrets, variables, then the runner's part. Etcd away: nothing here asks it.
 */
import { mkdirSync } from "node:fs";
import { toIso } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Job } from "fleetcron-shared/model/job";
import type { Outcome } from "fleetcron-shared/model/record";
import type { PolicyGuard } from "../policy/policy.ts";
import { prepareCommand } from "../runners/command.ts";
import type { SessionSpec } from "../runners/runner.ts";
import type { Users } from "../runners/users.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { type AttemptFiles, attemptFiles, needsFolder } from "./attempt-files.ts";
import type { Execution } from "./execution.ts";
import { prepareResult } from "./result.ts";
import type { SessionStart, StartSpec, WatchSpec } from "./supervisor.ts";

export type PrepareDeps = {
  readonly users: Users;
  readonly policy: Pick<PolicyGuard, "refusal" | "networks" | "file">;
  readonly secrets: Pick<Secrets, "resolve">;
  /** Whom the agent runs as. */
  readonly own: { readonly uid: number; readonly gid: number };
  readonly nodeId: string;
  readonly dataDir: string;
  /** Holds the files of attempts (attempt-files.ts), and the logs that did not fit into their record. */
  readonly execDir: string;
};

export type SessionStartDeps = Pick<PrepareDeps, "secrets" | "nodeId" | "dataDir" | "execDir"> & {
  readonly policy: Pick<PolicyGuard, "networks" | "file">;
};

/** An attempt of an execution, running or about to. */
export type AttemptOf = Pick<Execution, "id" | "job" | "origin" | "attempt" | "fence" | "doneHosts">;

/** What a spawner must know of a running attempt to watch over it. */
export function watchSpec(job: Job, execution: string, attempt: number, execDir: string): WatchSpec {
  const files = attemptFiles(execDir, execution, attempt);
  return {
    execution,
    attempt,
    logPath: files.log,
    ...(job.resultFrom === "stderr" ? { stderrPath: files.result } : {}),
    logMaxBytes: job.log.maxBytes,
    timeoutMs: job.timeoutMs,
    killGraceMs: job.killGraceMs,
  };
}

/** Whether the job is allowed and can be run here, and how. */
export async function prepare(deps: PrepareDeps, attempt: AttemptOf): Promise<{ spec: StartSpec | SessionStart } | { outcome: Outcome }> {
  const { job, origin } = attempt;
  try {
    const broken = deps.policy.refusal(job, origin.type === "order" ? origin.env : undefined);
    if (broken !== undefined) return { outcome: { type: "skipped", reason: "policy", detail: broken } };
    const files = attemptFiles(deps.execDir, attempt.id, attempt.attempt);
    const secrets = deps.secrets.resolve(job, files.base);
    if ("refusal" in secrets) return { outcome: { type: "skipped", reason: "secrets", detail: secrets.refusal } };
    const watch = watchSpec(job, attempt.id, attempt.attempt, deps.execDir);
    const { command } = job.run;
    if (command === undefined) return { spec: { ...watch, session: sessionSpec(deps, attempt, files, secrets.env) } };
    if (needsFolder(job)) mkdirSync(files.folder, { recursive: true });
    const env = { ...environment(deps, attempt, files), ...secrets.env };
    const prepared = await prepareCommand(deps, command, { folder: files.folder, env });
    if (prepared.ids !== undefined) prepareResult(files.result, prepared.ids);
    return { spec: { ...watch, ...prepared } };
  } catch (thrown) {
    return { outcome: { type: "spawnFailed", error: asError(thrown).message } };
  }
}

/** What a session host that takes over must be told: the same as the one before, as far as it can still be had. */
export function sessionStart(deps: SessionStartDeps, attempt: AttemptOf): SessionStart {
  const files = attemptFiles(deps.execDir, attempt.id, attempt.attempt);
  const secrets = deps.secrets.resolve(attempt.job, files.base);
  const env = "refusal" in secrets ? {} : secrets.env;
  return {
    ...watchSpec(attempt.job, attempt.id, attempt.attempt, deps.execDir),
    session: sessionSpec(deps, attempt, files, env),
  };
}

function sessionSpec(
  deps: SessionStartDeps,
  attempt: AttemptOf,
  files: AttemptFiles,
  secrets: Readonly<Record<string, string>>,
): SessionSpec {
  const { id, job, doneHosts = [] } = attempt;
  const { ssh, http, kubernetes } = job.run;
  const context = {
    execution: id,
    attempt: attempt.attempt,
    env: environment(deps, attempt, files),
    secrets,
    dataDir: deps.dataDir,
    networks: deps.policy.networks(),
    policyFile: deps.policy.file,
    ...{ timeoutMs: job.timeoutMs, killGraceMs: job.killGraceMs, errorsApart: job.resultFrom === "stderr" },
    ...(ssh === undefined || doneHosts.length === 0 ? {} : { onlyHosts: ssh.hosts.filter((host) => !doneHosts.includes(host)) }),
  };
  if (ssh !== undefined) return { ...context, runner: "ssh", spec: ssh };
  if (http !== undefined) return { ...context, runner: "http", spec: http };
  if (kubernetes !== undefined) return { ...context, runner: "kubernetes", spec: kubernetes };
  throw new Error(`the job ${job.key} says nothing of what to run`);
}

/** The job's variables, then the order's, then ours, which cannot be overridden. */
function environment(deps: Pick<PrepareDeps, "nodeId">, attempt: AttemptOf, files: AttemptFiles): Record<string, string> {
  const { job, origin } = attempt;
  return {
    ...job.env,
    ...(origin.type === "order" ? origin.env : undefined),
    FLEETCRON_GROUP: job.group,
    FLEETCRON_JOB: job.id,
    FLEETCRON_EXECUTION: attempt.id,
    FLEETCRON_ATTEMPT: String(attempt.attempt),
    FLEETCRON_NODE: deps.nodeId,
    ...(job.resultFrom === "file" ? { FLEETCRON_RESULT: files.result } : {}),
    ...(origin.dueMs === undefined ? {} : { FLEETCRON_DUE: toIso(origin.dueMs) }),
    ...(attempt.fence === undefined ? {} : { FLEETCRON_FENCE: String(attempt.fence) }),
  };
}
