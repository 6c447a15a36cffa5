/** Requests and responses of /globals; in all else as api-schema.ts. */
import { z } from "zod";

export const GlobalParams = z.object({ name: z.string().max(63) });
export const GlobalBody = z.strictObject({ value: z.string() });
export type GlobalBody = z.infer<typeof GlobalBody>;
export const GlobalView = z.object({
  name: z.string(),
  value: z.string(),
  at: z.string().describe("the end of the attempt whose result it is, or when it was set"),
  execution: z.string().optional(),
  job: z.string().optional(),
  node: z.string().optional(),
  by: z.string().optional().describe("the token of the operator who has set it"),
  revision: z.number(),
});
export type GlobalView = z.infer<typeof GlobalView>;
export const GlobalPage = z.object({ items: z.array(GlobalView), next: z.string().optional().describe("absent on the last page") });
export type GlobalPage = z.infer<typeof GlobalPage>;
export const GlobalListQuery = z.strictObject({
  sort: z.enum(["key", "-key"]).default("key"),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe("at most so many items"),
  cursor: z.string().max(1024).optional().describe("the `next` of the page before"),
});
export type GlobalListQuery = z.input<typeof GlobalListQuery>;
