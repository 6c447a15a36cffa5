/** Request and response of /verify; in all else as api-schema.ts. */
import { FINDING_KINDS } from "fleetcron-shared/check/history";
import { z } from "zod";

const instant = z.iso.datetime({ offset: true, error: "must be a time like 2027-01-31T08:00:00Z" });
const count = z.number();
const name = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export const VerifyQuery = z.strictObject({
  since: instant.optional().describe("default: 24 hours before `until`"),
  until: instant.optional().describe("ticks before it; default: now"),
  job: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}\/[a-z0-9][a-z0-9._-]{0,62}$/, "must be GROUP/ID")
    .optional()
    .describe("only of this job"),
  group: z.string().regex(name, "must be the name of a group").optional().describe("only of this group"),
  lateAfter: z
    .string()
    .default("1m")
    .describe("a run that begins later than this after its due time and the rule's jitter is told as late"),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe("at most so many findings; all are counted"),
});
export type VerifyQuery = z.input<typeof VerifyQuery>;

export const VerifyFinding = z.object({
  kind: z.enum(FINDING_KINDS),
  job: z.string(),
  rule: z.string().optional(),
  node: z.string().optional(),
  dueAt: z.string().optional(),
  dueUntil: z.string().optional().describe("the last of several ticks in a row"),
  ticks: count.optional().describe("how many in a row"),
  text: z.string(),
});
export type VerifyFinding = z.infer<typeof VerifyFinding>;

export const VerifySummary = z
  .object({
    due: count,
    ran: count,
    skipped: z.record(z.string(), count).describe("by reason"),
    missed: z.record(z.string(), count).describe("by reason"),
    lost: count.describe("nobody knows how they ended"),
    pending: count.describe("a node or a process may still tell of them"),
    silent: count.describe("without any verdict"),
    findings: z.partialRecord(z.enum(FINDING_KINDS), count).describe("how often each kind was found"),
    lateness: z
      .object({
        count,
        p50Ms: count,
        p99Ms: count,
        maxMs: count,
        histogram: z.array(z.object({ toMs: count.optional(), count })).describe("how many were at most so late; the last: later"),
      })
      .optional()
      .describe("begin minus due time, of what ran"),
  })
  .describe("of the ticks that could be judged");

export const VerifyResult = z.object({
  since: z.string(),
  until: z.string(),
  jobs: count.describe("how many were looked at"),
  findings: z.array(VerifyFinding).describe("by job and due time"),
  more: count.describe("findings beyond those that are listed"),
  summary: VerifySummary,
  unknown: z
    .array(z.object({ job: z.string().optional(), before: z.string().optional(), text: z.string() }))
    .describe("what could not be judged, and why"),
  unknownMore: count.describe("of those beyond the ones that are listed"),
});
export type VerifyResult = z.infer<typeof VerifyResult>;
