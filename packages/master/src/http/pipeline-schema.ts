/** Requests and responses around pipelines and their runs; in all else as api-schema.ts. */
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { RunDocument, TaskRun } from "fleetcron-shared/model/pipeline/run-document";
import { TRIGGER_KINDS } from "fleetcron-shared/model/pipeline/trigger-spec";
import { z } from "zod";

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
const pipelineKey = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}\/[a-z0-9][a-z0-9._-]{0,62}$/, "must be of the form group/id");
const keyPart = z.string().regex(/^[A-Za-z0-9._@-]{1,128}$/, "may hold only letters, digits and ._@-");
const limit = z.coerce.number().int().min(1).max(1000).default(100).describe("at most so many items");
const cursor = z.string().max(1024).optional().describe("the `next` of the page before");
const sort = z.enum(["key", "-key"]).default("key");
const textMap = z.record(z.string(), z.string());
const model = <T>(title: string) => z.custom<T>((value) => typeof value === "object" && value !== null).meta({ title });
const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().optional() });

export const PipelineParams = z.object({ group: name, id: name });
export const PipelineRunParams = z.object({ run: keyPart });
export const PipelineTaskParams = z.object({ run: keyPart, task: name });
/** Naming the pipeline saves the search for it. */
export const PipelineHintQuery = z.strictObject({ pipeline: pipelineKey.optional() });

export const TriggerView = z.object({
  name: z.string(),
  kind: z.enum(TRIGGER_KINDS),
  words: z.string(),
  paused: z.literal(true).optional(),
  next: z.array(z.string()).optional().describe("of a timer: its next ticks"),
  hook: z.string().optional().describe("of a webhook: the path at any master that the platform posts to"),
});
export type TriggerView = z.infer<typeof TriggerView>;

export const PipelineView = z.object({
  group: z.string(),
  id: z.string(),
  revision: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
  spec: model<PipelineSpec>("PipelineSpec"),
  triggers: z.array(TriggerView).optional().describe("only of one pipeline"),
});
export type PipelineView = z.infer<typeof PipelineView>;
export const PipelinePage = page(PipelineView);
export type PipelinePage = z.infer<typeof PipelinePage>;
export const PipelineListQuery = z.strictObject({ group: name.optional(), sort, limit, cursor });
export type PipelineListQuery = z.input<typeof PipelineListQuery>;
export const PipelinePutBody = z.strictObject({ spec: model<PipelineSpec>("PipelineSpec") });

export const PipelineRunBody = z.strictObject({
  params: textMap.default({}),
  labels: textMap.default({}).describe("of this run, beside the pipeline's own"),
  dryRun: z.boolean().default(false).describe("only show what would run, and where"),
});
export type PipelineRunBody = z.input<typeof PipelineRunBody>;

const RUN_STATES = ["queued", "active", "succeeded", "failed", "cancelled"] as const;
/** A task of a run: what it is, and how it stands. The hash of its update token is left out. */
export type PipelineTaskView = Omit<TaskRun, "tokenHash"> & {
  readonly name: string;
  readonly part: "main" | "finally";
  readonly stage?: string;
  readonly job: string;
  readonly needs: readonly string[];
  /** By the order of stages it waits for so many tasks of the list, the first ones. */
  readonly after: number;
  readonly auditors?: readonly string[];
  readonly checkers?: readonly string[];
};
export type PipelineRunView = Omit<RunDocument, "v" | "tasks"> & {
  readonly name: string;
  /** Of the pipeline that it was made of. */
  readonly revision: number;
  readonly params: Readonly<Record<string, string>>;
  readonly tasks: readonly PipelineTaskView[];
};
export const PipelineRunView = model<PipelineRunView>("PipelineRun");

export const PipelineRunSummary = z.object({
  id: z.string(),
  group: z.string(),
  pipeline: z.string(),
  state: z.enum(RUN_STATES),
  attempt: z.number(),
  by: z.string(),
  trigger: z.string(),
  labels: textMap.readonly(),
  sequence: z.string().optional().describe("runs of the pipeline with the same one run one after the other"),
  position: z.number().optional().describe("of a queued run with a sequence: how many come before it, and itself"),
  createdAt: z.string(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  message: z.string().optional(),
  tasks: z.object({ total: z.number(), ended: z.number(), failed: z.number() }),
  waiting: z.array(z.string()).describe("tasks that wait for a decision"),
});
export type PipelineRunSummary = z.infer<typeof PipelineRunSummary>;
export const PipelineRunPage = page(PipelineRunSummary);
export type PipelineRunPage = z.infer<typeof PipelineRunPage>;
export const PipelineRunListQuery = z.strictObject({
  pipeline: pipelineKey.optional(),
  group: name.optional(),
  state: z.enum([...RUN_STATES, "unfinished"]).optional(),
  limit,
  cursor,
});
export type PipelineRunListQuery = z.input<typeof PipelineRunListQuery>;

/** What a run would be. */
export const PipelineDryRun = z.object({
  dryRun: z.literal(true),
  tasks: z.array(
    z.object({
      name: z.string(),
      part: z.enum(["main", "finally"]),
      stage: z.string().optional(),
      job: z.string(),
      revision: z.number(),
      needs: z.array(z.string()),
      after: z.number().describe("by the order of stages it waits for so many tasks of the list, the first ones"),
      params: textMap.describe("as far as they are known before anything has run"),
      nodes: z.array(z.string()).describe("where it would run now"),
      note: z.string().optional(),
    }),
  ),
});
export type PipelineDryRun = z.infer<typeof PipelineDryRun>;

const comment = z.string().max(2000).default("");
export const CancelBody = z.strictObject({ reason: comment });
export type CancelBody = z.input<typeof CancelBody>;
export const RerunBody = z.strictObject({
  from: name.optional().describe("this task, all that depend on it, and all that did not succeed"),
});
export type RerunBody = z.input<typeof RerunBody>;
export const DecisionBody = z.strictObject({ comment });
export type DecisionBody = z.input<typeof DecisionBody>;
export const TaskStatusBody = z.strictObject({
  state: z.enum(["active", "succeeded", "failed", "cancelled"]),
  message: comment,
  force: z.boolean().default(false).describe("an operator's word, with an access token instead of the task's update token"),
});
