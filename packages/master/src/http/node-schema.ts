/** Requests and responses of /nodes; in all else as api-schema.ts. */
import { z } from "zod";
import { cursor, keySort, labelText, limit, page, textMap } from "./api-schema.ts";

export const ConditionView = z.object({
  type: z.string(),
  status: z.string(),
  message: z.string().optional(),
  at: z.string().describe("the end of the attempt that said so"),
  execution: z.string(),
  job: z.string(),
});
export type ConditionView = z.infer<typeof ConditionView>;
export const NodeView = z.object({
  id: z.string(),
  hostname: z.string(),
  addresses: z.array(z.string()).readonly(),
  agentLabels: textMap.readonly(),
  apiLabels: textMap.readonly(),
  labels: textMap.readonly().describe("the effective ones"),
  capacity: z.number(),
  version: z.string(),
  createdAt: z.string(),
  startedAt: z.string(),
  bootId: z.string(),
  pid: z.number(),
  publicKey: z.string().optional().describe("what secrets for the node are encrypted for"),
  drain: z.object({ by: z.string(), at: z.string() }).optional(),
  revision: z.number(),
  online: z.boolean(),
  draining: z.boolean().describe("it takes no new work"),
  drained: z.boolean().describe("draining, and its agent says that nothing is left"),
  running: z.number().describe("executions with a process, as last reported"),
  queued: z.number().describe("what waits on the node: for a slot, a predecessor, a lock, the next attempt, etcd"),
  observedRevision: z.number().nullable().describe("every change of its dispatches up to this revision is applied; null when offline"),
  onlineSince: z.string().nullable(),
  conditions: z.array(ConditionView).describe("what results of jobs say of the node"),
});
export type NodeView = z.infer<typeof NodeView>;
export const NodeWork = z.object({
  execution: z.string(),
  group: z.string(),
  job: z.string(),
  attempt: z.number(),
  startedAt: z.string(),
  freeAt: z.string().nullable().describe("when it should have ended: by the job's usual time, else by its timeout; null: nobody can tell"),
});
export type NodeWork = z.infer<typeof NodeWork>;
export const NodeDetail = NodeView.extend({
  freeAt: z.string().nullable().describe("when what runs should have ended; null: nothing runs, or nobody can tell"),
  executions: z.array(NodeWork).describe("those that have run for a while (`procThreshold`), oldest first"),
});
export type NodeDetail = z.infer<typeof NodeDetail>;
export const NodePage = page(NodeView);
export type NodePage = z.infer<typeof NodePage>;
export const NodeListQuery = z.strictObject({ label: z.union([labelText, z.array(labelText)]).optional(), sort: keySort, limit, cursor });
export type NodeListQuery = z.input<typeof NodeListQuery>;
export const LabelsBody = z.strictObject({ set: textMap.default({}), remove: z.array(z.string()).default([]) });
export type LabelsBody = z.input<typeof LabelsBody>;
