/** A job as programs compute with it: defaults filled in, durations in milliseconds, sizes in bytes. Made by `compileJob` (job-compile.ts). */
import type { EpochMs } from "../base/clock.ts";
import type {
  CommandSpec,
  DstFold,
  DstGap,
  JobKey,
  JobKind,
  JobSpec,
  LabelSelector,
  Misfire,
  Overlap,
  ResultFrom,
  RuleMode,
  RunSpec,
  SecretSource,
} from "./job-spec.ts";
import type { NotifyRule } from "./notify-rules.ts";

export type Target = {
  readonly nodes: readonly string[];
  readonly labels: LabelSelector;
  readonly exclude: readonly string[];
  readonly prefer: readonly string[];
};

export type Rule = {
  readonly id: string;
  readonly mode: RuleMode;
  /** Present exactly for `cycle`. */
  readonly timer: string | undefined;
  /** IANA name; undefined = the cluster's default. */
  readonly timezone: string | undefined;
  readonly target: Target;
  readonly fromMs: EpochMs | undefined;
  readonly untilMs: EpochMs | undefined;
  readonly jitterMs: number;
  readonly dstGap: DstGap | undefined;
  readonly dstFold: DstFold | undefined;
};

export type Retry = {
  readonly limit: number;
  readonly delayMs: number;
  readonly backoff: "fixed" | "exponential";
  readonly maxDelayMs: number;
  readonly jitter: number;
};

export type Job = {
  readonly key: JobKey;
  readonly group: string;
  readonly id: string;
  /** etcd mod revision of `jobs/<group>/<id>`. */
  readonly revision: number;
  readonly createdAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
  readonly submittedAtMs: EpochMs;
  readonly name: string;
  readonly eventId: string | undefined;
  readonly run: RunSpec;
  readonly rules: readonly Rule[];
  readonly kind: JobKind;
  readonly overlap: Overlap;
  readonly parallel: number;
  readonly misfire: Misfire;
  readonly misfireWindowMs: number;
  readonly onIsolation: "run" | "hold";
  readonly holdForMs: number;
  readonly onNodeLost: "fail" | "rerun";
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly killGraceMs: number;
  readonly retry: Retry;
  readonly pause: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, SecretSource>>;
  readonly successExitCodes: readonly number[];
  readonly successOutput: string | undefined;
  readonly resultFrom: ResultFrom;
  readonly retain: { readonly count: number; readonly ageMs: number };
  readonly log: { readonly maxBytes: number; readonly tailBytes: number };
  readonly notify: readonly NotifyRule[];
  /** What it was compiled from. */
  readonly source: JobSource;
};

/** What identifies one stored form of a job, beside its spec. Times are RFC 3339. */
export type JobMeta = {
  readonly group: string;
  readonly id: string;
  /** etcd mod revision of `jobs/<group>/<id>`. */
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly submittedAt: string;
};

/** Plain JSON that `compileJob` makes the same job of again, also in another version of the program. */
export type JobSource = { readonly meta: JobMeta; readonly spec: JobSpec };

export type { CommandSpec, JobSpec };
