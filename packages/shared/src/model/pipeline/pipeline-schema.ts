/**
 * The shape of a pipeline: every field with its kind, bounds and description (for the JSON Schema of editors too). The types are written by hand
 * in pipeline-spec.ts and held together with the schema by the compiler. What fields mean together is checked in pipeline-check.ts.
 */
import { z } from "zod";
import { choice, expected, fields, flag, list, mapping, wholeNumber } from "../../base/zod-issues.ts";
import { durationField, envName, labelCondition, labelName, labelValue, line, paragraphs } from "../job-fields.ts";
import { jobSchema, targetSchema } from "../job-schema.ts";
import { pipelineNotifyRules } from "../notify-rules.ts";
import { itemName, paramValue, pipelineParams } from "./param-schema.ts";
import {
  type InlineJob,
  type PipelineSpec,
  parseJobReference,
  type StageSpec,
  type TaskRetrySpec,
  type TaskSpec,
} from "./pipeline-spec.ts";
import { triggersSchema } from "./trigger-schema.ts";

const DAY = 24 * 3_600_000;
const YEAR = 365 * DAY;
/** Most tasks of a pipeline. */
export const MAX_TASKS = 500;

const { rules, kind, overlap, parallel, misfire, misfireWindow, onIsolation, holdFor, onNodeLost, pause, ...inlineShape } = jobSchema.shape;
const inlineJob = fields(inlineShape) satisfies z.ZodType<InlineJob>;

const REFERENCE = "a job is expected: its name as group/id or group/id@revision, or a mapping with run";
const jobReference = z
  .string()
  .refine((text) => parseJobReference(text) !== undefined, { error: expected("group/id or group/id@revision") });
/** A mapping is checked as a job, so that what is wrong in it is told with its own words. */
const job = z.union([jobReference, inlineJob], {
  error: (issue) => (typeof issue.input === "object" && issue.input !== null ? undefined : REFERENCE),
}) as z.ZodType<string | InlineJob>;

const person = line("an id of somebody", 128);
const decision = { enabled: flag().describe("Default: true.").exactOptional() };
const decisionTimeout = durationField(1000, YEAR).describe("After that it counts as refused. Default: 7d.").exactOptional();

const retry = fields({
  limit: wholeNumber(0, 100).describe("Extra attempts after the first, each with an order of its own."),
  delay: durationField(0, DAY).describe("Before the next attempt. Default: 10s.").exactOptional(),
  backoff: choice(["fixed", "exponential"]).describe("Exponential doubles the delay each time. Default: fixed.").exactOptional(),
  maxDelay: durationField(0, 7 * DAY)
    .describe("Bound of the exponential delay. Default: 1h.")
    .exactOptional(),
}) satisfies z.ZodType<TaskRetrySpec>;

const task = fields({
  name: itemName.describe("Unique in the pipeline."),
  job: job.describe("group/id of a stored job, group/id@revision for exactly that state of it, or the job itself (without its schedule)."),
  needs: list(itemName, "names of tasks", { min: 1, max: 100 })
    .describe("Tasks that must be complete before. Not within stages.")
    .exactOptional(),
  target: targetSchema.describe("Which nodes. Default: those of the job's rules; any for an inline job.").exactOptional(),
  forEachNode: flag().describe("true: on each matching node instead of one.").exactOptional(),
  sameNodeAs: itemName.describe("An earlier task: runs on the node, or the nodes, where that one ran.").exactOptional(),
  params: mapping(envName, paramValue, "param names and values")
    .describe(`Values for declared params; \${name} stands for a param of the pipeline or an output of an earlier task.`)
    .exactOptional(),
  when: mapping(envName, labelCondition, "names of params or outputs, and conditions")
    .describe('Runs only if all of these hold, else it is skipped: value, "!=value", [one, of, these], "*" (has a value), "!*" (has none).')
    .exactOptional(),
  skip: flag().describe("true: it is skipped.").exactOptional(),
  ignoreFailed: flag().describe("true: a failure counts as done.").exactOptional(),
  dryRun: flag().describe("true: everything up to the start, and no start.").exactOptional(),
  audit: fields({
    auditors: list(person, "ids", { min: 1, max: 100 }).describe(
      "Who may decide: ids of access tokens, or `oidc:NAME` for users of the login provider.",
    ),
    ...decision,
    timeout: decisionTimeout,
  })
    .describe("Somebody must approve before it starts.")
    .exactOptional(),
  confirm: fields({
    checkers: list(person, "ids", { min: 1, max: 100 }).describe(
      "Who may decide: ids of access tokens, or `oidc:NAME` for users of the login provider.",
    ),
    ...decision,
    timeout: decisionTimeout,
  })
    .describe("Somebody must confirm the result before anything follows.")
    .exactOptional(),
  retry: retry.describe("Further attempts after a failed one, maybe on another node.").exactOptional(),
  timeout: durationField(0, YEAR).describe("Of one attempt, from its order to its end; 0 (default) is none.").exactOptional(),
  nodeTimeout: durationField(1000, YEAR).describe("How long it waits for a node that can take it. Default: 10m.").exactOptional(),
  manualStatus: flag()
    .describe("true: the job only starts it; its end is reported through the API with the task's update token.")
    .exactOptional(),
  labels: mapping(labelName, labelValue, "label names and values")
    .describe("For people and programs that look at the run.")
    .exactOptional(),
}) satisfies z.ZodType<TaskSpec>;

const stage = fields({
  name: itemName.describe("Unique in the pipeline."),
  parallel: flag().describe("true: all tasks at once. Default: one after the other.").exactOptional(),
  tasks: list(task, "tasks", { min: 1, max: MAX_TASKS }).describe("The tasks of the stage."),
}) satisfies z.ZodType<StageSpec>;

/** The schema of a pipeline as it stands in a file, in REST and in etcd. */
export const pipelineSchema = fields({
  name: line("a name", 200).describe("For people.").exactOptional(),
  description: paragraphs("a description", 4000).describe("For people.").exactOptional(),
  labels: mapping(labelName, labelValue, "label names and values").describe("For search; every run has them too.").exactOptional(),
  owner: line("an owner", 200).describe("Who answers for the pipeline.").exactOptional(),
  params: pipelineParams.describe("What a run can be given.").exactOptional(),
  stages: list(stage, "stages", { min: 1, max: 100 })
    .describe("One after the other; each begins when all of the one before is complete.")
    .exactOptional(),
  tasks: list(task, "tasks", { min: 1, max: MAX_TASKS }).describe("Instead of stages: tasks, in an order made by needs.").exactOptional(),
  finally: list(task, "tasks", { min: 1, max: 50 })
    .describe("Tasks that always run, after all others have come to their end.")
    .exactOptional(),
  triggers: triggersSchema.describe("What starts it by itself: timers, webhooks, other pipelines.").exactOptional(),
  sequential: labelName
    .describe("A param or a label: runs with the same value of it run one after the other, first come, first served.")
    .exactOptional(),
  timeout: durationField(0, YEAR).describe("Of everything but finally; 0 (default) is none.").exactOptional(),
  onFailure: choice(["stop", "failFast"])
    .describe("stop (default): nothing new starts, what runs comes to its end. failFast: what runs is ended too.")
    .exactOptional(),
  notify: pipelineNotifyRules.describe("Who is told about what (notifications.md).").exactOptional(),
  retain: fields({
    count: wholeNumber(1, 10_000).describe("Newest runs that are kept. Default: 100.").exactOptional(),
    age: durationField(60_000, 10 * YEAR)
      .describe("Runs that ended longer ago are removed. Default: 30d.")
      .exactOptional(),
  })
    .describe("How many runs are kept.")
    .exactOptional(),
}) satisfies z.ZodType<PipelineSpec>;
