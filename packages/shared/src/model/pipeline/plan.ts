/**
 * The plan of a run: the pipeline and its jobs as they were when the run was asked for, in the order in which tasks can run. It is written once, beside the run, and never
 * changes, so later edits do not touch the run. Pure.
 */
import { parseDuration } from "../../base/duration.ts";
import type { Issue } from "../../base/errors.ts";
import { suggest } from "../../base/suggest.ts";
import { formatPath, type PathPart } from "../../base/yaml-source.ts";
import type { JobMeta } from "../job.ts";
import type { JobKey, JobSpec, LabelSelector, TargetSpec } from "../job-spec.ts";
import { isResultName } from "../result.ts";
import { mayUseSecret, secretRef } from "../secret.ts";
import { type GraphNode, topological, waitsOf } from "./graph.ts";
import { checkRunValues, namesIn, type Resolved, type ResolvedParam, resolve, type Values } from "./params.ts";
import { asJobSpec, checkTaskParams, inlineJobId, paramsSeenBy } from "./pipeline-check.ts";
import { type ParamSpec, type PipelineSpec, type PlacedTask, parseJobReference, tasksOf } from "./pipeline-spec.ts";

/** A job as an order carries it. */
export type PlannedJob = JobMeta & { readonly spec: JobSpec };

export type PlanTask = GraphNode & {
  readonly name: string;
  readonly part: "main" | "finally";
  readonly stage?: string;
  /** In `RunPlan.jobs`. */
  readonly job: JobKey;
  readonly target?: TargetSpec;
  readonly forEachNode?: true;
  readonly sameNodeAs?: string;
  readonly params?: Values;
  readonly when?: LabelSelector;
  readonly skip?: true;
  readonly ignoreFailed?: true;
  readonly dryRun?: true;
  readonly audit?: { readonly auditors: readonly string[]; readonly timeoutMs: number };
  readonly confirm?: { readonly checkers: readonly string[]; readonly timeoutMs: number };
  readonly retry?: {
    readonly limit: number;
    readonly delayMs: number;
    readonly backoff: "fixed" | "exponential";
    readonly maxDelayMs: number;
  };
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly nodeTimeoutMs: number;
  readonly manualStatus?: true;
  readonly labels?: Readonly<Record<string, string>>;
};

/** The value of `plans/<group>/<pipeline>/<run>`. Tasks stand in an order in which each comes after all that it waits for; `finally` ones last. */
export type RunPlan = {
  readonly v: 1;
  readonly run: string;
  readonly group: string;
  readonly id: string;
  /** Of the pipeline. */
  readonly revision: number;
  readonly name: string;
  readonly tasks: readonly PlanTask[];
  readonly jobs: Readonly<Record<JobKey, PlannedJob>>;
  readonly params: readonly ParamSpec[];
  /** As given to the run. */
  readonly values: Values;
  /** Those that its tasks name, as they were. */
  readonly globals?: Values;
  readonly labels: Readonly<Record<string, string>>;
  readonly onFailure: "stop" | "failFast";
  readonly timeoutMs: number;
};

export const PLAN_DEFAULTS = {
  decisionTimeoutMs: 7 * 86_400_000,
  nodeTimeoutMs: 600_000,
  retry: { delayMs: 10_000, backoff: "fixed", maxDelayMs: 3_600_000 },
  retain: { count: 100, ageMs: 30 * 86_400_000 },
} as const;

export type PlanInput = {
  readonly run: string;
  readonly group: string;
  readonly id: string;
  readonly revision: number;
  readonly updatedAt: string;
  readonly spec: PipelineSpec;
  readonly values: Values;
  /** At least those of `globalsNamed`; none by default. */
  readonly globals?: Values;
  /** More labels of this run; they win. */
  readonly labels: Readonly<Record<string, string>>;
  /** The stored job, if there is one. */
  readonly jobOf: (key: JobKey) => PlannedJob | undefined;
  /** All of them, for "did you mean". */
  readonly jobKeys: () => readonly JobKey[];
};

/** The plan, or everything that keeps the run from being started. Trusts the spec (checked when it was stored). */
export function makePlan(input: PlanInput): { readonly plan: RunPlan } | { readonly issues: readonly Issue[] } {
  const { spec } = input;
  const issues: Issue[] = [...checkRunValues(spec.params ?? [], input.values)];
  const refuse = (path: readonly PathPart[], message: string, hint?: string) =>
    issues.push({
      path: formatPath(["pipelines", `${input.group}/${input.id}`, ...path]),
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  const placed = tasksOf(spec);
  const jobs: Record<JobKey, PlannedJob> = {};
  const jobKeys = placed.map((one): JobKey => {
    const job = findJob(input, one, refuse);
    if (job === undefined) return "";
    const key = `${job.group}/${job.id}`;
    jobs[key] = job;
    if (typeof one.task.job === "string")
      for (const { path, message, hint } of checkTaskParams(spec, one, job.spec.params ?? [])) refuse(path, message, hint);
    return key;
  });
  const nodes = waitsOf(placed);
  const sorted = topological(nodes);
  if ("cycle" in sorted) refuse([], "its tasks wait for each other in a circle");
  if (issues.length > 0 || "cycle" in sorted) return { issues };
  const position = new Map(sorted.order.map((index, at) => [index, at]));
  const tasks = sorted.order.map((index): PlanTask | undefined => {
    const one = placed[index];
    const node = nodes[index];
    if (one === undefined || node === undefined) return undefined;
    return { ...planTask(one, jobKeys[index] ?? ""), after: node.after, needs: node.needs.map((need) => position.get(need) ?? need) };
  });
  const { run, group, id, revision, values } = input;
  const plan: RunPlan = {
    ...{ v: 1, run, group, id, revision, values, jobs },
    name: spec.name ?? id,
    tasks: tasks.filter((task) => task !== undefined),
    params: spec.params ?? [],
    labels: { ...spec.labels, ...input.labels },
    onFailure: spec.onFailure ?? "stop",
    timeoutMs: ms(spec.timeout, 0),
    ...(Object.keys(input.globals ?? {}).length === 0 ? {} : { globals: input.globals }),
  };
  // What waits for nobody gets nothing from anybody: its params are known now.
  for (const task of plan.tasks) {
    if (task.after > 0 || task.needs.length > 0 || task.part === "finally") continue;
    for (const issue of resolveTask(plan, task, {}).issues) issues.push({ ...issue, path: `task ${task.name}: ${issue.path ?? ""}` });
  }
  return issues.length > 0 ? { issues } : { plan };
}

/** What the params and conditions of tasks name, which may be globals. */
export function globalsNamed(spec: PipelineSpec): string[] {
  const named = tasksOf(spec).flatMap(({ task }) => [
    ...Object.values(task.params ?? {}).flatMap(namesIn),
    ...Object.keys(task.when ?? {}),
  ]);
  return [...new Set(named)].filter(isResultName);
}

/** The params of a task, given what earlier ones have put out; secrets by their full names. */
export function resolveTask(plan: RunPlan, task: PlanTask, outputs: Values): Resolved {
  const job = plan.jobs[task.job];
  const { values: run, globals } = plan;
  const { params, issues } = resolve({
    ...{ job: job?.spec.params ?? [], pipeline: planParams(plan, task), task: task.params ?? {}, run, outputs, globals },
  });
  const denied: Issue[] = [];
  const full = params.map((param): ResolvedParam => {
    if (param.type !== "secret" || param.value === "") return param;
    const ref = secretRef(param.value, plan.group);
    const name = `${ref.group}/${ref.name}`;
    if (job !== undefined && !mayUseSecret(ref, job.group))
      denied.push({ path: `params.${param.name}`, message: `a job of the group ${job.group} may not use the secret ${name}` });
    return { ...param, value: name };
  });
  return { params: full, issues: [...issues, ...denied] };
}

/** The params that the pipeline declares for a task of the plan. */
export function planParams(plan: Pick<RunPlan, "params">, task: Pick<PlanTask, "name" | "stage">): readonly ParamSpec[] {
  return paramsSeenBy(plan, task.stage, task.name);
}

type Refuse = (path: readonly PathPart[], message: string, hint?: string) => void;

function findJob(input: PlanInput, { task, path }: PlacedTask, refuse: Refuse): PlannedJob | undefined {
  if (typeof task.job !== "string") {
    const { group, revision, updatedAt } = input;
    const times = { createdAt: updatedAt, updatedAt, submittedAt: updatedAt };
    return { group, id: inlineJobId(input.id, task.name), revision, ...times, spec: asJobSpec(task.job) };
  }
  const reference = parseJobReference(task.job);
  const job = reference === undefined ? undefined : input.jobOf(reference.key);
  if (job === undefined) {
    const near = suggest(reference?.key ?? task.job, input.jobKeys());
    refuse([...path, "job"], `there is no job ${task.job}`, near === undefined ? undefined : `did you mean "${near}"?`);
    return undefined;
  }
  if (reference?.revision !== undefined && reference.revision !== job.revision) {
    refuse(
      [...path, "job"],
      `the job ${reference.key} is at revision ${job.revision}, not ${reference.revision}`,
      "name its present revision, or none",
    );
    return undefined;
  }
  return job;
}

function planTask({ task, stage, part }: PlacedTask, job: JobKey): Omit<PlanTask, keyof GraphNode> {
  const { audit, confirm, retry } = task;
  return {
    name: task.name,
    part,
    job,
    ...(stage === undefined ? {} : { stage: stage.name }),
    ...(task.target === undefined ? {} : { target: task.target }),
    ...(task.forEachNode === true ? { forEachNode: true } : {}),
    ...(task.sameNodeAs === undefined ? {} : { sameNodeAs: task.sameNodeAs }),
    ...(task.params === undefined ? {} : { params: task.params }),
    ...(task.when === undefined ? {} : { when: task.when }),
    ...(task.skip === true ? { skip: true } : {}),
    ...(task.ignoreFailed === true ? { ignoreFailed: true } : {}),
    ...(task.dryRun === true ? { dryRun: true } : {}),
    ...(audit === undefined || audit.enabled === false
      ? {}
      : { audit: { auditors: audit.auditors, timeoutMs: decisionMs(audit.timeout) } }),
    ...(confirm === undefined || confirm.enabled === false
      ? {}
      : { confirm: { checkers: confirm.checkers, timeoutMs: decisionMs(confirm.timeout) } }),
    ...(retry === undefined
      ? {}
      : {
          retry: {
            limit: retry.limit,
            delayMs: ms(retry.delay, PLAN_DEFAULTS.retry.delayMs),
            backoff: retry.backoff ?? PLAN_DEFAULTS.retry.backoff,
            maxDelayMs: ms(retry.maxDelay, PLAN_DEFAULTS.retry.maxDelayMs),
          },
        }),
    timeoutMs: ms(task.timeout, 0),
    nodeTimeoutMs: ms(task.nodeTimeout, PLAN_DEFAULTS.nodeTimeoutMs),
    ...(task.manualStatus === true ? { manualStatus: true } : {}),
    ...(task.labels === undefined ? {} : { labels: task.labels }),
  };
}

function ms(text: string | undefined, absent: number): number {
  return text === undefined ? absent : (parseDuration(text) ?? absent);
}

function decisionMs(text: string | undefined): number {
  return ms(text, PLAN_DEFAULTS.decisionTimeoutMs);
}
