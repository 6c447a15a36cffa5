/**
 * A pipeline as people write it and as etcd and REST hold it: camelCase JSON, durations as text, absent = default. The schema is
 * pipeline-schema.ts, what fields mean together pipeline-check.ts, the form that runs are made of plan.ts.
 */
import type { JobKey, JobSpec, LabelSelector, TargetSpec } from "../job-spec.ts";
import type { NotifyRule } from "../notify-rules.ts";
import type { TriggerSpec } from "./trigger-spec.ts";

/** A declared parameter of a job or a pipeline. Values are always text. */
export type ParamSpec = {
  readonly name: string;
  /** The default. An empty one counts as none. */
  readonly value?: string;
  readonly required?: boolean;
  /** Once it has a value, nothing of a higher level replaces it. */
  readonly readOnly?: boolean;
  /** `secret`: the value is the name of a stored secret, never the secret itself. */
  readonly type?: "text" | "boolean" | "enum" | "secret";
  /** Of an enum. */
  readonly options?: readonly string[];
  readonly description?: string;
  /** `env` (default): a variable of the command. `template`: also replaces `${name}` in the fields of `run` and `env` (never inside a script). */
  readonly usage?: "env" | "template";
  /** Pipelines only: the stages and tasks that see it; default all. */
  readonly scope?: { readonly stages?: readonly string[]; readonly tasks?: readonly string[] };
};

/** What a job has beside its schedule: all that a task needs to run it. */
export type InlineJob = Omit<
  JobSpec,
  "rules" | "kind" | "overlap" | "parallel" | "misfire" | "misfireWindow" | "onIsolation" | "holdFor" | "onNodeLost" | "pause"
>;

export type TaskRetrySpec = {
  /** Extra attempts after the first, each with an order of its own. */
  readonly limit: number;
  readonly delay?: string;
  readonly backoff?: "fixed" | "exponential";
  readonly maxDelay?: string;
};

export type TaskSpec = {
  /** Unique in the pipeline. */
  readonly name: string;
  /** `group/id`, `group/id@revision`, or the job itself. */
  readonly job: string | InlineJob;
  /** Tasks that must be complete before. Not within stages, which have an order of their own. */
  readonly needs?: readonly string[];
  /** Default: the nodes of the job's rules; any node for an inline job. */
  readonly target?: TargetSpec;
  /** On each matching node instead of one. */
  readonly forEachNode?: boolean;
  /** On the node (or nodes) where that earlier task ran. */
  readonly sameNodeAs?: string;
  /** Values for declared params; `${name}` stands for a param of the pipeline or an output of an earlier task. */
  readonly params?: Readonly<Record<string, string>>;
  /** Runs only if all of these hold for params and outputs; conditions as in `target.labels`. */
  readonly when?: LabelSelector;
  readonly skip?: boolean;
  /** A failure counts as done. */
  readonly ignoreFailed?: boolean;
  /** Everything up to the choice of the node, and no start. */
  readonly dryRun?: boolean;
  readonly audit?: { readonly auditors: readonly string[]; readonly enabled?: boolean; readonly timeout?: string };
  readonly confirm?: { readonly checkers: readonly string[]; readonly enabled?: boolean; readonly timeout?: string };
  readonly retry?: TaskRetrySpec;
  /** Of one attempt, from its order to its end; 0 (default) is none. */
  readonly timeout?: string;
  /** How long it waits for a node that can take it. */
  readonly nodeTimeout?: string;
  /** The end is reported from outside, with the task's update token. */
  readonly manualStatus?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
};

export type StageSpec = { readonly name: string; readonly parallel?: boolean; readonly tasks: readonly TaskSpec[] };

export type PipelineSpec = {
  readonly name?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly owner?: string;
  readonly params?: readonly ParamSpec[];
  /** Either stages, one after the other, or `tasks` with `needs`. */
  readonly stages?: readonly StageSpec[];
  readonly tasks?: readonly TaskSpec[];
  /** Always run, after all others have come to their end. */
  readonly finally?: readonly TaskSpec[];
  /** What starts it by itself. */
  readonly triggers?: readonly TriggerSpec[];
  /** A param or a label: runs with the same value of it run one after the other. */
  readonly sequential?: string;
  /** Of all tasks but `finally`; 0 (default) is none. */
  readonly timeout?: string;
  /** `stop` (default): nothing new starts. `failFast`: what runs is ended too. */
  readonly onFailure?: "stop" | "failFast";
  readonly notify?: readonly NotifyRule[];
  readonly retain?: { readonly count?: number; readonly age?: string };
};

/** The value of `pipelines/<group>/<id>`. */
export type StoredPipeline = {
  readonly v: 1;
  readonly group: string;
  readonly id: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly spec: PipelineSpec;
};

/** Where a task stands in its pipeline, for messages and lines. */
export type PlacedTask = {
  readonly task: TaskSpec;
  readonly path: readonly (string | number)[];
  readonly stage: StageSpec | undefined;
  readonly part: "main" | "finally";
};

/** Every task in the order in which they are written. */
export function tasksOf(spec: PipelineSpec): PlacedTask[] {
  const inStages = (spec.stages ?? []).flatMap((stage, s) =>
    stage.tasks.map((task, t): PlacedTask => ({ task, stage, part: "main", path: ["stages", s, "tasks", t] })),
  );
  const free = (spec.tasks ?? []).map((task, t): PlacedTask => ({ task, stage: undefined, part: "main", path: ["tasks", t] }));
  const last = (spec.finally ?? []).map((task, t): PlacedTask => ({ task, stage: undefined, part: "finally", path: ["finally", t] }));
  return [...inStages, ...free, ...last];
}

/** `group/id@revision` in its parts, or undefined when it is not of that form. */
export function parseJobReference(text: string): { readonly key: JobKey; readonly revision: number | undefined } | undefined {
  const match = /^([a-z0-9][a-z0-9._-]{0,62}\/[a-z0-9][a-z0-9._-]{0,62})(?:@(\d{1,15}))?$/.exec(text);
  if (match?.[1] === undefined) return undefined;
  return { key: match[1], revision: match[2] === undefined ? undefined : Number(match[2]) };
}
