/** Requests and responses around channels and deliveries; in all else as api-schema.ts. */
import type { ChannelSpec } from "fleetcron-shared/model/channel";
import { CHANNEL_KINDS } from "fleetcron-shared/model/channel";
import { z } from "zod";

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
const limit = z.coerce.number().int().min(1).max(1000).default(100).describe("at most so many items");
const cursor = z.string().max(1024).optional().describe("the `next` of the page before");
const spec = z.custom<ChannelSpec>((value) => typeof value === "object" && value !== null).meta({ title: "ChannelSpec" });

export const ChannelParams = z.object({ name });
export const ChannelView = z.object({
  name: z.string(),
  kind: z.enum(CHANNEL_KINDS),
  revision: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
  spec: spec.describe("secrets are masked"),
  waiting: z.number().describe("deliveries that are gathering or being tried"),
  failed: z.number().describe("deliveries that were given up"),
  last: z.string().nullable().describe("what the newest try came to"),
});
export type ChannelView = z.infer<typeof ChannelView>;
export const ChannelListQuery = z.strictObject({ sort: z.enum(["key", "-key"]).default("key"), limit, cursor });
export type ChannelListQuery = z.input<typeof ChannelListQuery>;
export const ChannelPage = z.object({ items: z.array(ChannelView), next: z.string().optional() });
export type ChannelPage = z.infer<typeof ChannelPage>;
export const ChannelPutBody = z.strictObject({ spec });
export type ChannelPutBody = z.infer<typeof ChannelPutBody>;

export const ChannelTest = z.object({
  ok: z.boolean(),
  delivery: z.string().describe("the id that was sent with it"),
  text: z.string().describe("what came back"),
  status: z.number().optional().describe("of HTTP"),
  hint: z.string().optional(),
  tookMs: z.number(),
});
export type ChannelTest = z.infer<typeof ChannelTest>;

export const DeliveryParams = z.object({
  delivery: z.string().regex(/^[A-Za-z0-9._:@-]{1,253}$/, "may hold only letters, digits and ._:@-"),
});
export const DELIVERY_STATES = ["open", "sealed", "delivered", "failed"] as const;
export const DeliveryView = z.object({
  id: z.string(),
  channel: z.string(),
  state: z.enum(DELIVERY_STATES).describe("open: gathers notices; sealed: is being tried"),
  createdAt: z.string(),
  notices: z.number(),
  titles: z.array(z.string()),
  tries: z.number(),
  nextAt: z.string().optional().describe("of the next try"),
  endedAt: z.string().optional(),
  last: z.string().optional().describe("what the newest try came to"),
});
export type DeliveryView = z.infer<typeof DeliveryView>;
export const DeliveryListQuery = z.strictObject({ channel: name.optional(), state: z.enum(DELIVERY_STATES).optional(), limit, cursor });
export type DeliveryListQuery = z.input<typeof DeliveryListQuery>;
export const DeliveryPage = z.object({ items: z.array(DeliveryView), next: z.string().optional() });
export type DeliveryPage = z.infer<typeof DeliveryPage>;
