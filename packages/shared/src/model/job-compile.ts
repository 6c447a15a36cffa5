/**
 * Turns a job spec into the form that programs compute with: the defaults of docs/jobs.md filled in, durations in milliseconds, sizes in bytes.
 * It trusts the spec (checked when it was submitted) and runs on the agent's hot path, so it does nothing but copy and convert.
 */
import { type EpochMs, fromIso } from "../base/clock.ts";
import { parseDuration } from "../base/duration.ts";
import { AppError } from "../base/errors.ts";
import { parseSize } from "../base/size.ts";
import type { Job, JobMeta, Retry, Rule, Target } from "./job.ts";
import type { JobSpec, RetrySpec, RuleSpec, TargetSpec } from "./job-spec.ts";
import { renderDefaults } from "./pipeline/params.ts";

/** What an absent field of a job file means, in the units of `Job`. */
export const JOB_DEFAULTS = {
  kind: "common",
  overlap: "skip",
  parallel: 1,
  misfire: "once",
  misfireWindowMs: 3_600_000,
  holdForMs: 30_000,
  onNodeLost: "fail",
  timeoutMs: 0,
  killGraceMs: 10_000,
  retry: { limit: 0, delayMs: 10_000, backoff: "fixed", maxDelayMs: 3_600_000, jitter: 0 },
  successExitCodes: [0],
  resultFrom: "file",
  retain: { count: 100, ageMs: 7 * 86_400_000 },
  log: { maxBytes: 64 * 2 ** 20, tailBytes: 8 * 2 ** 10 },
  notify: [],
} as const satisfies Partial<Job>;

/** The default shell of `run.command.script`. */
export const DEFAULT_SHELL: readonly string[] = ["/bin/sh", "-c"];

const ANY_TARGET: Target = { nodes: [], labels: {}, exclude: [], prefer: [] };

/** The job of `spec`; throws `internal/bug` when a stored value could never have passed the check. */
export function compileJob(meta: JobMeta, given: JobSpec): Job {
  const spec = given.params === undefined ? given : renderDefaults(given, given.params);
  const kind = spec.kind ?? JOB_DEFAULTS.kind;
  return {
    key: `${meta.group}/${meta.id}`,
    group: meta.group,
    id: meta.id,
    revision: meta.revision,
    createdAtMs: instant("createdAt", meta.createdAt),
    updatedAtMs: instant("updatedAt", meta.updatedAt),
    submittedAtMs: instant("submittedAt", meta.submittedAt),
    name: spec.name ?? meta.id,
    eventId: spec.eventId,
    run: spec.run,
    rules: spec.rules.map(compileRule),
    kind,
    overlap: spec.overlap ?? JOB_DEFAULTS.overlap,
    parallel: spec.parallel ?? JOB_DEFAULTS.parallel,
    misfire: spec.misfire ?? JOB_DEFAULTS.misfire,
    misfireWindowMs: duration("misfireWindow", spec.misfireWindow, JOB_DEFAULTS.misfireWindowMs),
    onIsolation: spec.onIsolation ?? (kind === "common" ? "run" : "hold"),
    holdForMs: duration("holdFor", spec.holdFor, JOB_DEFAULTS.holdForMs),
    onNodeLost: spec.onNodeLost ?? JOB_DEFAULTS.onNodeLost,
    timeoutMs: duration("timeout", spec.timeout, JOB_DEFAULTS.timeoutMs),
    killGraceMs: duration("killGrace", spec.killGrace, JOB_DEFAULTS.killGraceMs),
    retry: spec.retry === undefined ? JOB_DEFAULTS.retry : compileRetry(spec.retry),
    pause: spec.pause ?? false,
    env: spec.env ?? {},
    secrets: spec.secrets ?? {},
    successExitCodes: spec.success?.exitCodes ?? JOB_DEFAULTS.successExitCodes,
    successOutput: spec.success?.output,
    resultFrom: spec.resultFrom ?? JOB_DEFAULTS.resultFrom,
    retain: {
      count: spec.retain?.count ?? JOB_DEFAULTS.retain.count,
      ageMs: duration("retain.age", spec.retain?.age, JOB_DEFAULTS.retain.ageMs),
    },
    log: {
      maxBytes: size("log.maxBytes", spec.log?.maxBytes, JOB_DEFAULTS.log.maxBytes),
      tailBytes: size("log.tailBytes", spec.log?.tailBytes, JOB_DEFAULTS.log.tailBytes),
    },
    notify: spec.notify ?? JOB_DEFAULTS.notify,
    source: { meta: metaOf(meta), spec: given },
  };
}

function metaOf({ group, id, revision, createdAt, updatedAt, submittedAt }: JobMeta): JobMeta {
  return { group, id, revision, createdAt, updatedAt, submittedAt };
}

/** The id of the rule at `index` (from 0): its own, else `r1`, `r2` … by position. */
export function ruleIdAt(rule: Pick<RuleSpec, "id">, index: number): string {
  return rule.id ?? `r${index + 1}`;
}

/** The target with its absent lists empty: an absent target matches every node. */
export function compileTarget(spec: TargetSpec | undefined): Target {
  if (spec === undefined) return ANY_TARGET;
  return { nodes: spec.nodes ?? [], labels: spec.labels ?? {}, exclude: spec.exclude ?? [], prefer: spec.prefer ?? [] };
}

function compileRule(spec: RuleSpec, index: number): Rule {
  return {
    id: ruleIdAt(spec, index),
    mode: spec.mode,
    timer: spec.timer,
    timezone: spec.timezone,
    target: compileTarget(spec.target),
    fromMs: spec.from === undefined ? undefined : instant("from", spec.from),
    untilMs: spec.until === undefined ? undefined : instant("until", spec.until),
    jitterMs: duration("jitter", spec.jitter, 0),
    dstGap: spec.dstGap,
    dstFold: spec.dstFold,
  };
}

function compileRetry(spec: RetrySpec): Retry {
  const defaults = JOB_DEFAULTS.retry;
  return {
    limit: spec.limit,
    delayMs: duration("retry.delay", spec.delay, defaults.delayMs),
    backoff: spec.backoff ?? defaults.backoff,
    maxDelayMs: duration("retry.maxDelay", spec.maxDelay, defaults.maxDelayMs),
    jitter: spec.jitter ?? defaults.jitter,
  };
}

function duration(field: string, text: string | undefined, absent: number): number {
  if (text === undefined) return absent;
  return parseDuration(text) ?? unchecked(field, text);
}

function size(field: string, text: string | undefined, absent: number): number {
  if (text === undefined) return absent;
  return parseSize(text) ?? unchecked(field, text);
}

function instant(field: string, text: string): EpochMs {
  return fromIso(text) ?? unchecked(field, text);
}

function unchecked(field: string, text: string): never {
  throw new AppError("internal/bug", `a stored job holds ${field} "${text}", which the check does not let pass`, {
    hint: "something else wrote it to etcd; submit the job again with `fleetcron apply`",
  });
}
