/**
 * The values of the model that the API hands out as they are, as schemas for OpenAPI; each is held to its type by the compiler. Nothing is checked with
 * them when it goes out: newer agents may say more.
 */
import type { Claim, JobStats, LeaderInfo } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { z } from "zod";
import type { PipelineRunView, PipelineTaskView } from "./pipeline-schema.ts";

const texts = z.record(z.string(), z.string());
const v = z.literal(1);

const result = z.object({
  outputs: texts.exactOptional(),
  globals: texts.exactOptional(),
  conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().exactOptional() })).exactOptional(),
  next: z.array(z.string()).exactOptional(),
  status: z.enum(["succeeded", "failed"]).exactOptional(),
  message: z.string().exactOptional(),
  raw: z.string().exactOptional(),
  problems: z.array(z.string()).exactOptional(),
});

const record = z.object({
  v,
  id: z.string().describe("<execution>-<attempt>, ordered by time"),
  execution: z.string(),
  jobGroup: z.string(),
  jobId: z.string(),
  jobRevision: z.number(),
  ruleId: z.string().exactOptional(),
  dueAt: z.string().exactOptional().describe("the tick; of many that were skipped at once the first"),
  dueUntil: z.string().exactOptional(),
  dueCount: z.number().exactOptional(),
  orderId: z.string().exactOptional(),
  runId: z.string().exactOptional(),
  taskId: z.string().exactOptional(),
  eventId: z.string().exactOptional(),
  attempt: z.number(),
  finalAttempt: z.boolean(),
  nodeId: z.string(),
  hostname: z.string(),
  user: z.string().exactOptional(),
  host: z.string().exactOptional(),
  partOf: z.string().exactOptional(),
  name: z.string(),
  command: z.string().exactOptional(),
  pid: z.number().exactOptional(),
  fence: z.number().exactOptional(),
  beginTime: z.string().exactOptional(),
  endTime: z.string(),
  skewMs: z.number().exactOptional().describe("begin minus due"),
  durationMs: z.number().exactOptional(),
  success: z.boolean(),
  outcome: z
    .looseObject({ type: z.string() })
    .describe("how it ended, with what there is to say of it; docs/states.md lists the types") as unknown as z.ZodType<
    ExecutionRecord["outcome"]
  >,
  output: z.object({ tail: z.string(), cutBytes: z.number(), totalBytes: z.number() }).exactOptional(),
  logRef: z.string().exactOptional(),
  result: result.exactOptional(),
  usage: z.object({ cpuMs: z.number(), maxRssKiB: z.number() }).exactOptional(),
  provisional: z.boolean().exactOptional().describe("the leader has said so in place of a node; what the node reports takes its place"),
  isHandled: z.boolean(),
  handleTime: z.string().exactOptional(),
});

const stats = z.object({
  v,
  successCount: z.number(),
  failureCount: z.number(),
  skippedCount: z.number(),
  lostCount: z.number(),
  avgTimeMs: z.number(),
  deviationMs: z.number().exactOptional(),
  missedUntil: z.string().exactOptional().describe("the newest tick that the auditor has found missed"),
  streak: z.number().describe("positive: successes in a row; negative: final failures in a row"),
  failing: z
    .record(z.string(), z.object({ final: z.number(), attempts: z.number(), told: z.array(z.string()).exactOptional() }))
    .exactOptional(),
  last: z
    .object({ record: z.string(), success: z.boolean(), outcome: z.string(), endTime: z.string(), nodeId: z.string() })
    .exactOptional(),
});

const claim = z.object({ v, node: z.string(), execution: z.string(), at: z.string(), verdict: z.string().exactOptional() });
const leader = z.object({ v, master: z.string(), since: z.string(), address: z.string() });

const runState = z.enum(["queued", "active", "succeeded", "failed", "cancelled"]);
const taskState = z.enum([
  ...["pending", "waitingAudit", "scheduling", "creating", "active", "cancelling", "waitingConfirm"],
  ...["succeeded", "failed", "cancelled", "skipped"],
] as const);
const decision = z.object({ verdict: z.enum(["yes", "no"]), by: z.string(), at: z.string(), comment: z.string().exactOptional() });
const task = z.object({
  name: z.string(),
  part: z.enum(["main", "finally"]),
  stage: z.string().exactOptional(),
  job: z.string(),
  needs: z.array(z.string()),
  after: z.number().describe("by the order of stages it waits for so many tasks of the list, the first ones"),
  auditors: z.array(z.string()).exactOptional(),
  checkers: z.array(z.string()).exactOptional(),
  state: taskState,
  attempt: z.number(),
  since: z.string(),
  startedAt: z.string().exactOptional(),
  endedAt: z.string().exactOptional(),
  message: z.string().exactOptional(),
  wait: z
    .object({ for: z.enum(["audit", "node", "retry", "end", "status", "stop", "confirm"]), until: z.string().exactOptional() })
    .exactOptional(),
  instances: z
    .array(
      z.object({
        node: z.string(),
        execution: z.string(),
        state: z.enum(["planned", "creating", "active", "cancelling", "succeeded", "failed", "cancelled"]),
        ran: z.literal(true).exactOptional(),
        message: z.string().exactOptional(),
      }),
    )
    .exactOptional(),
  onlyNodes: z.array(z.string()).exactOptional(),
  retries: z.number().exactOptional(),
  stopping: z.object({ to: z.enum(["failed", "cancelled"]), message: z.string() }).exactOptional(),
  result: z.enum(["succeeded", "failed"]).exactOptional(),
  audit: decision.exactOptional(),
  confirm: decision.exactOptional(),
  outputs: texts.exactOptional(),
  history: z
    .array(
      z.object({
        attempt: z.number(),
        state: taskState,
        startedAt: z.string().exactOptional(),
        endedAt: z.string().exactOptional(),
        nodes: z.array(z.string()).exactOptional(),
        message: z.string().exactOptional(),
      }),
    )
    .exactOptional(),
}) satisfies Same<PipelineTaskView>;
const run = z.object({
  id: z.string(),
  group: z.string(),
  pipeline: z.string(),
  name: z.string(),
  revision: z.number().describe("of the pipeline that it was made of"),
  attempt: z.number(),
  state: runState,
  createdAt: z.string(),
  queuedAt: z.string(),
  startedAt: z.string().exactOptional(),
  endedAt: z.string().exactOptional(),
  by: z.string(),
  trigger: z.string(),
  labels: texts,
  params: texts,
  sequence: z.string().exactOptional(),
  chain: z.number().exactOptional(),
  part: z.enum(["main", "finally"]),
  message: z.string().exactOptional(),
  deadline: z.string().exactOptional(),
  cancel: z.object({ by: z.string(), at: z.string(), reason: z.string() }).exactOptional(),
  failure: z.object({ task: z.string().exactOptional(), at: z.string(), message: z.string() }).exactOptional(),
  tasks: z.array(task),
  history: z
    .array(
      z.object({
        attempt: z.number(),
        state: runState,
        startedAt: z.string().exactOptional(),
        endedAt: z.string(),
        message: z.string().exactOptional(),
      }),
    )
    .exactOptional(),
});

/** By the title that `model` in the schemas of the API gives them. */
export const MODELS = {
  ExecutionRecord: record satisfies Same<ExecutionRecord>,
  JobStats: stats satisfies Same<JobStats>,
  Claim: claim satisfies Same<Claim>,
  LeaderInfo: leader satisfies Same<LeaderInfo>,
  PipelineRun: run satisfies Same<PipelineRunView>,
};

/** A schema of T that names each of its fields. */
type Same<T> = z.ZodType<T> & { readonly shape: { readonly [K in keyof T]-?: z.ZodType } };
