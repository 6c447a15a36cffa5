/** Requests and responses of webhooks; in all else as api-schema.ts. */
import { z } from "zod";

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");

export const HookParams = z.object({ group: name, pipeline: name, trigger: name });
export type HookParams = z.infer<typeof HookParams>;

export const HookAnswer = z.discriminatedUnion("accepted", [
  z.object({
    accepted: z.literal(true),
    pipeline: z.string(),
    run: z.string(),
    repeated: z.boolean().describe("the delivery had started this run before"),
  }),
  z.object({ accepted: z.literal(false), reason: z.string() }),
]);
export type HookAnswer = z.infer<typeof HookAnswer>;
