/** Requests and events of /events; in all else as api-schema.ts. */
import { z } from "zod";

/** What changes are told of. Those of one kind come in the order in which they were made. */
export const EVENT_KINDS = ["job", "stats", "node", "execution", "channel", "pipeline", "global", "leader", "record", "run"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

const kind = z.enum(EVENT_KINDS);
const group = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
/** A revision of etcd, or the id of an event. */
const place = z.string().regex(/^(\d{1,15}|[0-9a-f]{1,16}(\.\d{1,15}){1,32})$/, "must be a revision or the id of an event");

export const EventQuery = z.strictObject({
  kind: z
    .union([kind, z.array(kind).max(EVENT_KINDS.length)])
    .optional()
    .describe("only of these kinds; default: all"),
  group: z
    .union([group, z.array(group).max(100)])
    .optional()
    .describe("only of these groups; what belongs to no group (nodes, channels, globals, the leader) is left out then"),
  since: place.optional().describe("begin behind this revision, or behind the event with this id; `Last-Event-ID` wins"),
});
export type EventQuery = z.input<typeof EventQuery>;
export const EventHeaders = z.object({ "last-event-id": place.optional() });

/** What an event of a kind carries. `begin` and `reset` carry an EventStart, `error` a Problem. */
export type EventData = {
  /** Unique in its kind: `group/id`, a node's id, `node/group/job/pid` of an execution, the id of a record or a run. */
  readonly key: string;
  readonly group?: string;
  /** The change is in all that has this revision of etcd or a greater one. */
  readonly revision: number;
  /** As the API shows it now; absent: it is gone. */
  readonly value?: unknown;
};
/** `reset`: changes may have been missed, so what was read before must be read again. */
export type EventStart = { readonly master: string; readonly revision: number };

export const RecordSummary = z.object({
  id: z.string(),
  execution: z.string(),
  group: z.string(),
  job: z.string(),
  node: z.string(),
  attempt: z.number(),
  finalAttempt: z.boolean(),
  success: z.boolean(),
  outcome: z.string(),
  ruleId: z.string().optional(),
  dueAt: z.string().optional(),
  orderId: z.string().optional(),
  runId: z.string().optional(),
  taskId: z.string().optional(),
  host: z.string().optional().describe("of an ssh job: where it ran"),
  partOf: z.string().optional().describe("of one of several hosts: the execution that it belongs to"),
  beginTime: z.string().optional(),
  endTime: z.string(),
  durationMs: z.number().optional(),
});
/** The value of an event of the kind `record`. */
export type RecordSummary = z.infer<typeof RecordSummary>;
