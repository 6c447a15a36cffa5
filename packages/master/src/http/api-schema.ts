/**
 * Every request and response of the REST API as a zod schema, with the type of the same name: the server validates with them, the client
 * and the command line are typed by them, OpenAPI is made from them. Times are RFC 3339 text, revisions etcd mod revisions.
 */
import type { Claim, JobStats, LeaderInfo } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { z } from "zod";

/** The path under which everything but `/healthz` and `/readyz` is served. */
export const API_BASE = "/api/v1";
/** The largest body of `POST /apply`; of everything else 1 MiB. */
export const APPLY_BODY_LIMIT = 12 * 2 ** 20;

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
export const jobKey = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}\/[a-z0-9][a-z0-9._-]{0,62}$/, "must be of the form group/id");
const keyPart = z.string().regex(/^[A-Za-z0-9._:@-]{1,253}$/, "may hold only letters, digits and ._:@-");
const instant = z.iso.datetime({ offset: true, error: "must be a time like 2027-01-31T08:00:00Z" });
export const limit = z.coerce.number().int().min(1).max(1000).default(100).describe("at most so many items");
export const cursor = z.string().max(1024).optional().describe("the `next` of the page before");
export const keySort = z.enum(["key", "-key"]).default("key");
export const labelText = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,126}!?=.*$/, "must be of the form name=value or name!=value");
export const textMap = z.record(z.string(), z.string());
/** Checked where it is made (model types), passed through here. */
const model = <T>(title: string) => z.custom<T>((value) => typeof value === "object" && value !== null).meta({ title });
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().optional().describe("absent on the last page") });

// Parameters in paths
export const JobParams = z.object({ group: name, id: name });
export const JobDeleteQuery = z.object({ force: z.stringbool().default(false).describe("even if pipelines name the job") });
export const NodeParams = z.object({ node: keyPart });
export const RecordParams = z.object({ record: keyPart });
export const ExecutionParams = z.object({ execution: keyPart });

// Errors
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string().describe("a code of the error table"),
  detail: z.string(),
  hint: z.string().optional(),
  issues: z
    .array(
      z.object({
        message: z.string(),
        path: z.string().optional(),
        file: z.string().optional(),
        line: z.number().optional(),
        hint: z.string().optional(),
      }),
    )
    .optional(),
});
export type Problem = z.infer<typeof Problem>;

// Jobs
export const RuleView = z.object({
  id: z.string(),
  words: z.string().describe("the timer in words"),
  next: z.string().nullable().describe("the next due tick; null when there is none"),
});
export type RuleView = z.infer<typeof RuleView>;

export const JobView = z.object({
  group: z.string(),
  id: z.string(),
  revision: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
  submittedAt: z.string(),
  spec: model<JobSpec>("JobSpec"),
  stats: model<JobStats>("JobStats").optional(),
  rules: z.array(RuleView),
  acknowledged: z
    .object({ nodes: z.number(), of: z.number() })
    .optional()
    .describe("online nodes that have taken over this revision, of those that the job matches; only where one job is asked for"),
});
export type JobView = z.infer<typeof JobView>;

export const JobListQuery = z.strictObject({
  group: name.optional(),
  label: z.union([labelText, z.array(labelText)]).optional(),
  sort: z.enum(["key", "-key", "updated", "-updated", "next", "-next"]).default("key"),
  limit,
  cursor,
});
export type JobListQuery = z.input<typeof JobListQuery>;
export const JobPage = page(JobView);
export type JobPage = z.infer<typeof JobPage>;

export const JobPutBody = z.strictObject({ spec: model<JobSpec>("JobSpec") });
export type JobPutBody = z.infer<typeof JobPutBody>;
/** `If-Match: "<revision>"`. */
export const IfMatchHeaders = z.object({
  "if-match": z
    .string()
    .max(100)
    .optional()
    .describe("the revision (ETag) that the change is meant for; `0`: there must be none; absent or *: any"),
});
export const IfNoneMatchHeaders = z.object({
  "if-none-match": z.string().max(1000).optional().describe("ETags: at one of these revisions the answer is 304"),
});
export const Deleted = z.object({ deleted: z.string().describe("the key of what was deleted") });
export type Deleted = z.infer<typeof Deleted>;

export const ApplyBody = z.strictObject({
  files: z.array(z.strictObject({ name: z.string().max(4096), text: z.string() })).max(10_000),
  dryRun: z.boolean().default(false),
  prune: z.boolean().default(false).describe("delete the jobs that the files do not hold, in the groups that they mention"),
  group: name.optional().describe("leave the jobs of other groups alone"),
});
export type ApplyBody = z.input<typeof ApplyBody>;
export const ApplyChange = z.object({
  kind: z.enum(["job", "pipeline", "channel"]).optional().describe("of what has the key; absent: a job"),
  key: z.string(),
  action: z.enum(["created", "updated", "unchanged", "deleted"]),
  diff: z.array(z.string()).optional().describe("lines that begin with '-' (was) or '+' (becomes)"),
  rules: z.array(z.object({ id: z.string(), words: z.string(), next: z.array(z.string()) })).optional(),
  revision: z.number().optional(),
});
export type ApplyChange = z.infer<typeof ApplyChange>;
export const ApplyResult = z.object({ changes: z.array(ApplyChange), dryRun: z.boolean() });
export type ApplyResult = z.infer<typeof ApplyResult>;

export const RunBody = z.strictObject({ node: keyPart.optional(), env: textMap.optional(), params: textMap.optional() });
export type RunBody = z.infer<typeof RunBody>;
export const RunResult = z.object({ orders: z.array(z.object({ order: z.string(), node: z.string(), execution: z.string() })) });
export type RunResult = z.infer<typeof RunResult>;

export const ResetBody = z.strictObject({ node: keyPart.optional() });
export type ResetBody = z.infer<typeof ResetBody>;
export const ResetResult = z.object({ orders: z.array(z.object({ order: z.string(), node: z.string() })) });
export type ResetResult = z.infer<typeof ResetResult>;

export const NextQuery = z.strictObject({ n: z.coerce.number().int().min(1).max(1000).default(5), at: instant.optional() });
export type NextQuery = z.input<typeof NextQuery>;
export const NextResult = z.object({
  paused: z.boolean(),
  rules: z.array(z.object({ id: z.string(), mode: z.string(), words: z.string(), timezone: z.string(), next: z.array(z.string()) })),
});
export type NextResult = z.infer<typeof NextResult>;

export const WhyQuery = z.strictObject({ at: instant.optional() });
export type WhyQuery = z.input<typeof WhyQuery>;
export const WHY_VERDICTS = [
  "fired",
  "running",
  "claimed",
  "skipped",
  "missed",
  "lost",
  "pending",
  "notDue",
  "paused",
  "outsideWindow",
  "beforeJob",
  "noNode",
  "unknown",
] as const;
export const WhyResult = z.object({
  dueAt: z.string().nullable().describe("the tick that the answer is about"),
  rule: z.string().nullable(),
  verdict: z.enum(WHY_VERDICTS),
  reason: z.string().nullable().describe("the reason of a skipped, missed or lost tick"),
  text: z.string().describe("the answer in one sentence"),
  next: z.string().nullable(),
  records: z.array(model<ExecutionRecord>("ExecutionRecord")),
  claim: model<Claim>("Claim").optional(),
  facts: z.array(z.string()),
});
export type WhyResult = z.infer<typeof WhyResult>;
export type WhyVerdict = WhyResult["verdict"];

// Records, processes, executions
export const RecordListQuery = z.strictObject({
  job: jobKey.optional(),
  group: name.optional(),
  node: keyPart.optional(),
  outcome: z.string().max(64).optional().describe("`success`, `failure`, a kind such as `skipped` or a word such as `exit:1`"),
  since: instant.optional().describe("ended at or after; without a history: began at or after"),
  until: instant.optional().describe("ended before; without a history: began before"),
  text: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe("words that name, command or output have, all of them; `*` at the end of one: it may go on"),
  limit,
  cursor,
});
export type RecordListQuery = z.input<typeof RecordListQuery>;
export const RecordView = model<ExecutionRecord>("ExecutionRecord");
export type RecordView = z.infer<typeof RecordView>;
const notice = z.string().optional().describe("why the list is not all that there may be");
export const RecordPage = page(RecordView).extend({ notice });
export type RecordPage = z.infer<typeof RecordPage>;
/** Naming the job saves the search for it. */
export const JobHintQuery = z.strictObject({ job: jobKey.optional() });

export const ProcView = z.object({
  node: z.string(),
  group: z.string(),
  job: z.string(),
  pid: z.number(),
  execution: z.string(),
  attempt: z.number(),
  startedAt: z.string(),
  ruleId: z.string().optional(),
  dueAt: z.string().optional(),
  orderId: z.string().optional(),
  fence: z.number().optional(),
});
export type ProcView = z.infer<typeof ProcView>;
export const ProcPage = page(ProcView);
export type ProcPage = z.infer<typeof ProcPage>;
export const ProcListQuery = z.strictObject({
  job: jobKey.optional(),
  group: name.optional(),
  node: keyPart.optional(),
  limit,
  cursor,
});
export type ProcListQuery = z.input<typeof ProcListQuery>;

export const ExecutionView = z.object({
  id: z.string(),
  group: z.string(),
  job: z.string(),
  node: z.string(),
  state: z.enum(["running", "ended"]),
  attempt: z.number(),
  pid: z.number().optional(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  ruleId: z.string().optional(),
  dueAt: z.string().optional(),
  orderId: z.string().optional(),
  outcome: z.string().optional().describe("of the newest attempt, as a word"),
  success: z.boolean().optional(),
  finalAttempt: z.boolean().optional(),
  record: z.string().optional().describe("the id of the newest record"),
});
export type ExecutionView = z.infer<typeof ExecutionView>;
export const ExecutionPage = page(ExecutionView).extend({ notice });
export type ExecutionPage = z.infer<typeof ExecutionPage>;
export const ExecutionListQuery = z.strictObject({
  job: jobKey.optional(),
  group: name.optional(),
  node: keyPart.optional(),
  state: z.enum(["running", "ended"]).optional(),
  limit,
  cursor,
});
export type ExecutionListQuery = z.input<typeof ExecutionListQuery>;
export const ExecutionDetail = ExecutionView.extend({ records: z.array(RecordView).describe("one per attempt, oldest first") });
export type ExecutionDetail = z.infer<typeof ExecutionDetail>;
export const KillBody = z.strictObject({ reason: z.string().max(1000).optional() });
export type KillBody = z.infer<typeof KillBody>;
export const KillResult = z.object({ order: z.string(), node: z.string(), execution: z.string() });
export type KillResult = z.infer<typeof KillResult>;

// The master itself
export const HistoryInfo = z.object({
  kind: z.enum(["off", "sqlite", "postgres"]),
  where: z.string().optional(),
  state: z.enum(["opening", "ok", "behind", "away"]).optional().describe("`behind`: being filled; `away`: it does not answer"),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).optional(),
  waiting: z.number().optional().describe("filed and not in it yet, as far as this master holds them in memory"),
  held: z.number().optional().describe("records that stay in etcd beyond retention until they are in it"),
  letGo: z.number().optional().describe("deleted from etcd before they were in it, since this master started"),
  facts: z
    .object({ records: z.number(), runs: z.number(), bytes: z.number(), oldestMs: z.number().optional() })
    .optional()
    .describe("estimated"),
});
export type HistoryInfo = z.infer<typeof HistoryInfo>;
export const Info = z.object({
  version: z.string(),
  cluster: z.string(),
  timezone: z.string().describe("of rules that name none"),
  master: z.string().describe("the id of the master that answers"),
  leader: model<LeaderInfo>("LeaderInfo").nullable(),
  leading: z.boolean(),
  etcd: z.object({ endpoints: z.array(z.string()), reachable: z.boolean(), revision: z.number() }),
  history: HistoryInfo.optional().describe("of the master that answers; absent from masters of earlier versions"),
  counts: z.object({ jobs: z.number(), nodes: z.number(), online: z.number(), running: z.number() }),
});
export type Info = z.infer<typeof Info>;
export const Health = z.object({
  status: z.enum(["ok", "unavailable"]),
  reasons: z.array(z.string()).describe("what stands in the way of its work"),
  notes: z.array(z.string()).describe("what is no hindrance, but worth knowing: who leads, what is slow"),
});
export type Health = z.infer<typeof Health>;
