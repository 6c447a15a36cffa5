/** What the fields of a well-shaped pipeline mean together: everything that would make a run of it fail, found before it is stored. Pure. */
import { parseDuration } from "../../base/duration.ts";
import { AppError } from "../../base/errors.ts";
import { suggestHint } from "../../base/suggest.ts";
import type { PathPart } from "../../base/yaml-source.ts";
import { checkShape, type ShapeIssue, toIssue } from "../../base/zod-issues.ts";
import { checkIdentity, checkMeaning } from "../job-check.ts";
import type { JobSpec } from "../job-spec.ts";
import { checkNotifyRules } from "../notify-rules.ts";
import { ancestorsOf, topological, waitsOf } from "./graph.ts";
import { checkParams } from "./param-schema.ts";
import { wrongValue } from "./params.ts";
import { MAX_TASKS, pipelineSchema } from "./pipeline-schema.ts";
import { type ParamSpec, type PipelineSpec, type PlacedTask, tasksOf } from "./pipeline-spec.ts";
import { checkTriggers } from "./trigger-check.ts";

/** A pipeline as JSON may not be larger: with the jobs that it names, a run's plan must stay under 1 MiB. */
export const MAX_PIPELINE_BYTES = 512 * 1024;
/** A job without rules is never due, so the time does not matter. */
const NO_TICKS_MS = 0;

/** An unknown value as a pipeline, shape and meaning checked; throws `input/invalid` with all issues. For values that come from no file. */
export function parsePipelineSpec(group: string, id: string, value: unknown): PipelineSpec {
  const identity = checkIdentity(group, id, "pipeline");
  const shape = checkShape<PipelineSpec>(pipelineSchema, value);
  const found = [...identity, ...(shape.issues ?? checkPipeline(group, id, shape.value))];
  if (shape.issues === undefined && found.length === 0) return shape.value;
  const issues = found.map((issue) => toIssue(issue, ["pipelines", `${group}/${id}`]));
  throw new AppError("input/invalid", `the pipeline ${group}/${id} is not accepted`, { issues });
}

/** Everything that is wrong with the meaning of a well-shaped pipeline; paths begin inside it. What stored jobs say is checked in checkTaskParams. */
export function checkPipeline(group: string, id: string, spec: PipelineSpec): ShapeIssue[] {
  const placed = tasksOf(spec);
  const issues = [...checkWhole(spec, placed), ...checkNames(spec, placed)];
  for (const one of placed) {
    const at = (issue: ShapeIssue): ShapeIssue => ({ ...issue, path: [...one.path, ...issue.path] });
    issues.push(...checkTask(one, placed).map(at), ...checkInlineJob(group, id, one).map(at));
    if (typeof one.task.job === "object") issues.push(...checkTaskParams(spec, one, one.task.job.params ?? []));
  }
  issues.push(...checkScopes(spec, placed), ...checkTriggers(group, id, spec));
  for (const issue of checkNotifyRules(spec.notify ?? [])) issues.push({ ...issue, path: ["notify", ...issue.path] });
  // Only names that are all there make a graph.
  if (issues.length === 0) issues.push(...checkGraph(placed));
  return issues;
}

function checkWhole(spec: PipelineSpec, placed: readonly PlacedTask[]): ShapeIssue[] {
  const issues: ShapeIssue[] = checkParams(spec.params ?? []).map((issue) => ({ ...issue, path: ["params", ...issue.path] }));
  if ((spec.stages === undefined) === (spec.tasks === undefined)) {
    const message = `${spec.stages === undefined ? "neither stages nor tasks are" : "both stages and tasks are"} given; exactly one is needed`;
    issues.push({ path: [], message, hint: "stages run one after the other; tasks are ordered by their needs" });
  }
  if (placed.length > MAX_TASKS)
    issues.push({ path: [], message: `the pipeline has ${placed.length} tasks; at most ${MAX_TASKS} are allowed` });
  const bytes = Buffer.byteLength(JSON.stringify(spec));
  if (bytes > MAX_PIPELINE_BYTES) {
    const message = `the pipeline takes ${Math.ceil(bytes / 1024)} KiB as JSON; at most ${MAX_PIPELINE_BYTES / 1024} KiB are stored`;
    issues.push({ path: [], message, hint: "put long scripts into files on the nodes, or into jobs that several tasks name" });
  }
  return issues;
}

function checkNames(spec: PipelineSpec, placed: readonly PlacedTask[]): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  const once = (what: string, entries: readonly { name: string; path: readonly PathPart[] }[]) => {
    const seen = new Set<string>();
    for (const { name, path } of entries) {
      if (seen.has(name))
        issues.push({
          path: [...path, "name"],
          message: `there is another ${what} "${name}" above`,
          hint: "names are unique in the pipeline",
        });
      seen.add(name);
    }
  };
  once(
    "task",
    placed.map(({ task, path }) => ({ name: task.name, path })),
  );
  once(
    "stage",
    (spec.stages ?? []).map(({ name }, index) => ({ name, path: ["stages", index] })),
  );
  return issues;
}

function checkTask({ task, stage, part }: PlacedTask, placed: readonly PlacedTask[]): ShapeIssue[] {
  const issues: ShapeIssue[] = [];
  const refuse = (path: PathPart[], message: string, hint?: string) =>
    issues.push({ path, message, ...(hint === undefined ? {} : { hint }) });
  const others = placed.filter((other) => other.part === part && other.task.name !== task.name).map((other) => other.task.name);
  const checkNamed = (name: string, path: PathPart[]) => {
    if (name === task.name) refuse(path, "a task cannot wait for itself");
    else if (!others.includes(name)) {
      const elsewhere = placed.some((other) => other.task.name === name);
      const hint = elsewhere ? "tasks of finally wait for each other only, and nothing else waits for them" : suggestHint(name, others);
      refuse(path, elsewhere ? `the task "${name}" is in another part` : `there is no task "${name}"`, hint);
    }
  };
  for (const [index, name] of (task.needs ?? []).entries()) checkNamed(name, ["needs", index]);
  if (stage !== undefined && task.needs !== undefined)
    refuse(["needs"], "tasks in stages have their order from the stages", "remove needs, or write `tasks` instead of `stages`");
  if (task.sameNodeAs !== undefined) checkNamed(task.sameNodeAs, ["sameNodeAs"]);
  if (task.manualStatus === true && task.forEachNode === true)
    refuse(["manualStatus"], "there is one status for a task on many nodes", "remove forEachNode or manualStatus");
  const { delay, maxDelay } = task.retry ?? {};
  if (delay !== undefined && maxDelay !== undefined && (parseDuration(delay) ?? 0) > (parseDuration(maxDelay) ?? 0))
    refuse(["retry", "maxDelay"], `${maxDelay} is shorter than delay, ${delay}`);
  return issues;
}

/** An inline job is filed as `<pipeline>.<task>`, and must be as right as a stored one. */
function checkInlineJob(group: string, id: string, { task }: PlacedTask): ShapeIssue[] {
  if (typeof task.job === "string") return [];
  const name = inlineJobId(id, task.name);
  const issues = checkMeaning(group, name, asJobSpec(task.job), NO_TICKS_MS).map((issue) => ({ ...issue, path: ["job", ...issue.path] }));
  if (name.length > 63) {
    const message = `the job of this task would be called "${name}", which has ${name.length} characters; at most 63 are allowed`;
    issues.push({ path: ["name"], message, hint: "shorten the name of the task or of the pipeline" });
  }
  return issues;
}

/** The id under which the records of an inline job are filed. */
export function inlineJobId(pipelineId: string, task: string): string {
  return `${pipelineId}.${task}`;
}

/** An inline job as a job without rules. */
export function asJobSpec(job: Exclude<PlacedTask["task"]["job"], string>): JobSpec {
  return { ...job, rules: [] };
}

/** The params that the pipeline declares for a task. */
export function paramsSeenBy(spec: Pick<PipelineSpec, "params">, stage: string | undefined, task: string): ParamSpec[] {
  return (spec.params ?? []).filter(({ scope }) => {
    if (scope?.stages === undefined && scope?.tasks === undefined) return true;
    return (stage !== undefined && scope.stages?.includes(stage) === true) || scope.tasks?.includes(task) === true;
  });
}

/** What is wrong with the params that a task sets, given what its job declares; paths begin inside the pipeline. */
export function checkTaskParams(spec: PipelineSpec, placed: PlacedTask, jobParams: readonly ParamSpec[]): ShapeIssue[] {
  const { task, stage, path } = placed;
  const seen = [...jobParams, ...paramsSeenBy(spec, stage?.name, task.name)];
  return Object.entries(task.params ?? {}).flatMap(([name, value]): ShapeIssue[] => {
    const at = [...path, "params", name];
    const declared = seen.filter((param) => param.name === name);
    const [param] = declared;
    if (param === undefined) {
      const names = seen.map((one) => one.name);
      const hint = names.length === 0 ? "declare it in the params of the job or of the pipeline" : suggestHint(name, names);
      return [{ path: at, message: "neither the job nor the pipeline declares this param", hint }];
    }
    const fixed = declared.find((one) => one.readOnly === true && (one.value ?? "") !== "" && one.value !== value);
    if (fixed !== undefined && value !== "") return [{ path: at, message: `the param is read-only with the value "${fixed.value}"` }];
    const wrong = value === "" || value.includes("${") ? undefined : wrongValue(param, value);
    return wrong === undefined ? [] : [{ path: at, message: `is of type ${param.type}; ${wrong}` }];
  });
}

function checkScopes(spec: PipelineSpec, placed: readonly PlacedTask[]): ShapeIssue[] {
  const stages = (spec.stages ?? []).map(({ name }) => name);
  const tasks = placed.map(({ task }) => task.name);
  return (spec.params ?? []).flatMap(({ scope }, index) =>
    (
      [
        ["stages", scope?.stages, stages],
        ["tasks", scope?.tasks, tasks],
      ] as const
    ).flatMap(([field, names, known]) =>
      (names ?? []).flatMap((name, at): ShapeIssue[] =>
        known.includes(name)
          ? []
          : [
              {
                path: ["params", index, "scope", field, at],
                message: `there is no ${field.slice(0, -1)} "${name}"`,
                hint: suggestHint(name, known),
              },
            ],
      ),
    ),
  );
}

function checkGraph(placed: readonly PlacedTask[]): ShapeIssue[] {
  const nodes = waitsOf(placed);
  const name = (index: number) => placed[index]?.task.name ?? "";
  const sorted = topological(nodes);
  if ("cycle" in sorted) {
    const [first = 0] = sorted.cycle;
    const message = `the tasks wait for each other in a circle: ${sorted.cycle.map(name).join(" → ")}`;
    return [{ path: [...(placed[first]?.path ?? []), "needs"], message, hint: "remove one of these needs" }];
  }
  return placed.flatMap(({ task, path, part }, index): ShapeIssue[] => {
    if (task.sameNodeAs === undefined) return [];
    const target = placed.findIndex((other) => other.part === part && other.task.name === task.sameNodeAs);
    if (!ancestorsOf(nodes, index)(target))
      return [
        {
          path: [...path, "sameNodeAs"],
          message: `the task "${task.sameNodeAs}" does not come before this one`,
          hint: "only then is its node known",
        },
      ];
    if (placed[target]?.task.forEachNode === true && task.forEachNode !== true)
      return [
        { path: [...path, "sameNodeAs"], message: `the task "${task.sameNodeAs}" runs on many nodes`, hint: "add forEachNode: true" },
      ];
    return [];
  });
}
