/** Requests and responses about due ticks: what became of those of a job, and how many starts are expected; in all else as api-schema.ts. */
import { z } from "zod";

const instant = z.iso.datetime({ offset: true, error: "must be a time like 2027-01-31T08:00:00Z" });
const count = z.number();

/** `failure`: at least one execution of the tick has failed for good. `none`: no record tells of it; `why` may. */
export const TICK_VERDICTS = ["success", "failure", "skipped", "missed", "lost", "running", "pending", "none"] as const;
export const VerdictsQuery = z
  .strictObject({
    since: instant.optional().describe("default: 30 days before `until`"),
    until: instant.optional().describe("ticks before it; default: now"),
    limit: z.coerce.number().int().min(1).max(2000).default(500).describe("at most so many ticks, the newest"),
  })
  .describe("by the job's rules as they are now");
export type VerdictsQuery = z.input<typeof VerdictsQuery>;
export const TickVerdict = z.object({
  dueAt: z.string(),
  rule: z.string(),
  verdict: z.enum(TICK_VERDICTS),
  counts: z
    .object({ success: count, failure: count, skipped: count, missed: count, lost: count })
    .describe("executions, or nodes that have skipped it"),
  execution: z.string().optional().describe("the one that the verdict is of, or the newest"),
});
export type TickVerdict = z.infer<typeof TickVerdict>;
export const VerdictsResult = z.object({
  since: z.string().describe("there is no tick between it and the first one that is told"),
  until: z.string(),
  ticks: z.array(TickVerdict).describe("newest first"),
});
export type VerdictsResult = z.infer<typeof VerdictsResult>;

export const ForecastQuery = z.strictObject({ hours: z.coerce.number().int().min(1).max(48).default(24) });
export type ForecastQuery = z.input<typeof ForecastQuery>;
export const ForecastPeak = z.object({
  at: z.string(),
  starts: z.number(),
  jobs: z.array(z.object({ job: z.string(), starts: z.number() })).describe("those with the most starts in that minute"),
});
export const ForecastResult = z.object({
  from: z.string().describe("the beginning of the first minute"),
  starts: z.array(z.number()).describe("expected starts of processes, one number per minute"),
  running: z
    .array(z.number())
    .describe("expected processes at a time, on the mean of each minute; jobs that have never run count as taking no time"),
  peaks: z.array(ForecastPeak).describe("the minutes that stand out, greatest first"),
  capacity: z.number().describe("processes that the online nodes take at a time"),
  jobs: z.number().describe("jobs that are counted: those with ticks that are not paused"),
});
export type ForecastResult = z.infer<typeof ForecastResult>;
