/**
 * A job as people write it and as etcd and REST hold it: camelCase JSON, durations and sizes as text, absent = default.
 * The schema that checks it is job-schema.ts; the form that programs compute with is job.ts.
 */

import type { NotifyRule } from "./notify-rules.ts";
import type { ParamSpec } from "./pipeline/pipeline-spec.ts";
import type { HttpSpec } from "./runners/http-spec.ts";
import type { KubernetesSpec } from "./runners/kubernetes-spec.ts";
import type { SshSpec } from "./runners/ssh-spec.ts";

export type JobKind = "common" | "alone" | "interval";
export type Overlap = "skip" | "queue" | "replace" | "allow";
export type Misfire = "once" | "skip" | "all";
export type RuleMode = "onlyonce" | "manyonce" | "cycle";
/** Where a command writes its result: to the file named by `$FLEETCRON_RESULT`, or to stderr. */
export type ResultFrom = "file" | "stderr";
export type DstGap = "next" | "skip";
export type DstFold = "first" | "second" | "both";

/** `{role: db}` (equal), `{role: "!=db"}`, `{role: [db, web]}` (in), `{role: "*"}` (exists). */
export type LabelSelector = Readonly<Record<string, string | readonly string[]>>;

export type TargetSpec = {
  readonly nodes?: readonly string[];
  readonly labels?: LabelSelector;
  readonly exclude?: readonly string[];
  readonly prefer?: readonly string[];
};

export type RuleSpec = {
  /** Default: `r1`, `r2` … by position. */
  readonly id?: string;
  readonly mode: RuleMode;
  /** Required for `cycle`, refused otherwise. */
  readonly timer?: string;
  readonly timezone?: string;
  readonly target?: TargetSpec;
  readonly from?: string;
  readonly until?: string;
  readonly jitter?: string;
  readonly dstGap?: DstGap;
  readonly dstFold?: DstFold;
};

export type CommandSpec = {
  /** Given to `shell`; exactly one of `script` and `argv`. */
  readonly script?: string;
  readonly argv?: readonly string[];
  /** Default `["/bin/sh", "-c"]`. */
  readonly shell?: readonly string[];
  readonly cwd?: string;
  readonly user?: string;
  readonly group?: string;
  readonly stdin?: string;
  /** Octal text such as `"027"`. */
  readonly umask?: string;
  readonly nice?: number;
  readonly limits?: LimitsSpec;
};

/** Of each process that the command starts; `memory` of all together where the host has cgroups to limit. */
export type LimitsSpec = {
  /** Open files. */
  readonly nofile?: number;
  /** A size such as `512MiB`. */
  readonly memory?: string;
  /** Cpu time as a duration such as `10m`. */
  readonly cpu?: string;
};

/** Exactly one runner. */
export type RunSpec = {
  readonly command?: CommandSpec;
  readonly ssh?: SshSpec;
  readonly http?: HttpSpec;
  readonly kubernetes?: KubernetesSpec;
};

export type RetrySpec = {
  /** Extra attempts after the first. */
  readonly limit: number;
  readonly delay?: string;
  readonly backoff?: "fixed" | "exponential";
  readonly maxDelay?: string;
  /** Share of the delay that is random, 0…1. */
  readonly jitter?: number;
};

/** Where the value of a secret comes from; exactly one field. Never the value itself. */
export type SecretSource = {
  /** A file on the agent's host. */
  readonly file?: string;
  /** A variable of the agent's own environment. */
  readonly env?: string;
  /** `name` or `group/name` of a secret that `fleetcron secret set` has stored, encrypted for each node. */
  readonly secret?: string;
};

export type JobSpec = {
  readonly name?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly owner?: string;
  readonly eventId?: string;
  readonly run: RunSpec;
  readonly rules: readonly RuleSpec[];
  readonly kind?: JobKind;
  readonly overlap?: Overlap;
  readonly parallel?: number;
  readonly misfire?: Misfire;
  readonly misfireWindow?: string;
  readonly onIsolation?: "run" | "hold";
  readonly holdFor?: string;
  readonly onNodeLost?: "fail" | "rerun";
  readonly timeout?: string;
  readonly killGrace?: string;
  readonly retry?: RetrySpec;
  readonly pause?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly params?: readonly ParamSpec[];
  /** Environment variables whose values must not be seen. */
  readonly secrets?: Readonly<Record<string, SecretSource>>;
  readonly success?: { readonly exitCodes?: readonly number[]; readonly output?: string };
  readonly resultFrom?: ResultFrom;
  readonly retain?: { readonly count?: number; readonly age?: string };
  readonly log?: { readonly maxBytes?: string; readonly tailBytes?: string };
  readonly notify?: readonly NotifyRule[];
};

/** The value of `jobs/<group>/<id>`. */
export type StoredJob = {
  readonly v: 1;
  readonly group: string;
  readonly id: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** When the spec was last submitted by `apply` (pause and resume do not count): the due time of `onlyonce` and `manyonce`. */
  readonly submittedAt: string;
  readonly spec: JobSpec;
};

/** `group/id`. */
export type JobKey = string;
