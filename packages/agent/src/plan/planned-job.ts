/**
 * A dispatch as the plan holds it: only what is needed to know when it is due, because there may be 100,000 of them. The whole job is parsed
 * again when it fires (`jobOf`). Pure.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { hash32 } from "fleetcron-shared/base/hash";
import type { Instants } from "fleetcron-shared/model/calendar/rule-schedule";
import type { Dispatch } from "fleetcron-shared/model/facts";
import type { Job, Rule } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { JobKey, JobKind, Misfire, RuleMode } from "fleetcron-shared/model/job-spec";
import { decode } from "fleetcron-shared/wire/codec";
import type { Schedules } from "./schedules.ts";

export type PlannedRule = {
  readonly id: string;
  /** `once`: a single tick at the job's submission (onlyonce, manyonce). `startup`: a tick when the agent starts after a boot. */
  readonly when: { readonly type: "instants"; readonly instants: Instants } | { readonly type: "once" } | { readonly type: "startup" };
  readonly mode: RuleMode;
  readonly jitterMs: number;
  /** Every tick up to here has had its verdict or is on its way to one. Moves forward only. */
  handledMs: EpochMs;
};

export type PlannedJob = {
  readonly key: JobKey;
  /** mod revision of the job that this dispatch carries. */
  readonly revision: number;
  readonly kind: JobKind;
  readonly pause: boolean;
  readonly misfire: Misfire;
  readonly misfireWindowMs: number;
  /** Ticks younger than this are late, not misfired: other nodes may still be holding them. */
  readonly graceMs: number;
  readonly createdAtMs: EpochMs;
  readonly submittedAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
  /** The dispatch as etcd holds it. */
  readonly text: string;
  readonly rules: readonly PlannedRule[];
};

/** A common tick this late still counts as late; an older one as misfired. */
const LATE_GRACE_MS = 10_000;
/** Ticks of cluster-wide jobs may be held by other nodes for `holdFor`, and a little more. */
const HOLD_SPARE_MS = 5_000;

/** The dispatch and its compiled job, from the text that etcd holds. */
export function jobOf(key: string, text: string): { job: Job; dispatch: Dispatch } {
  const dispatch = decode<Dispatch>(key, text);
  return { job: compileJob(dispatch, dispatch.spec), dispatch };
}

/** Plans the rules of a dispatch that match this node. `handledMs` starts at 0; the planner sets it. */
export function planJob(deps: { schedules: Schedules }, nodeId: string, key: string, text: string): PlannedJob {
  const { job, dispatch } = jobOf(key, text);
  return {
    key: job.key,
    revision: job.revision,
    kind: job.kind,
    pause: job.pause,
    misfire: job.misfire,
    misfireWindowMs: job.misfireWindowMs,
    graceMs: job.kind === "common" ? LATE_GRACE_MS : Math.max(LATE_GRACE_MS, job.holdForMs + HOLD_SPARE_MS),
    createdAtMs: job.createdAtMs,
    submittedAtMs: job.submittedAtMs,
    updatedAtMs: job.updatedAtMs,
    text,
    rules: job.rules.filter((rule) => Object.hasOwn(dispatch.rules, rule.id)).map((rule) => planRule(deps, nodeId, job, rule)),
  };
}

function planRule(deps: { schedules: Schedules }, nodeId: string, job: Job, rule: Rule): PlannedRule {
  const jitterSeed = job.kind === "common" ? `${job.key}/${rule.id}@${nodeId}` : `${job.key}/${rule.id}`;
  const jitterMs = rule.jitterMs > 0 ? hash32(jitterSeed) % (rule.jitterMs + 1) : 0;
  if (rule.timer === undefined) return { id: rule.id, mode: rule.mode, when: { type: "once" }, jitterMs, handledMs: 0 };
  const { kind, instants } = deps.schedules.of(job, rule, rule.timer);
  if (kind === "startup") return { id: rule.id, mode: rule.mode, when: { type: "startup" }, jitterMs, handledMs: 0 };
  return { id: rule.id, mode: rule.mode, when: { type: "instants", instants }, jitterMs, handledMs: 0 };
}
