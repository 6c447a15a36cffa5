/** Requests and responses of /secrets. Values never pass here: only boxes that were sealed by the client, and none ever comes back. */
import type { TargetSpec } from "fleetcron-shared/model/job-spec";
import { z } from "zod";

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
const keyPart = z.string().regex(/^[A-Za-z0-9._:@-]{1,253}$/, "may hold only letters, digits and ._:@-");
const publicKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be a public key");
const MAX_SEALED = 48 * 1024;

export const SecretParams = z.object({ group: name, name });
export const SecretListQuery = z.strictObject({
  group: name.optional(),
  sort: z.enum(["key", "-key"]).default("key"),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe("at most so many items"),
  cursor: z.string().max(1024).optional().describe("the `next` of the page before"),
});
export type SecretListQuery = z.input<typeof SecretListQuery>;

export const SecretBody = z.strictObject({
  version: keyPart.describe("a new one for each new value"),
  target: z.strictObject({
    nodes: z.array(keyPart).optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  boxes: z
    .array(
      z.strictObject({
        node: keyPart,
        publicKey,
        ephemeral: publicKey,
        sealed: z
          .string()
          .regex(/^[A-Za-z0-9_-]+$/, "must be base64url")
          .max(MAX_SEALED),
      }),
    )
    .min(1)
    .describe("the value, encrypted for each node by the client; they replace all boxes of before"),
});
export type SecretBody = z.infer<typeof SecretBody>;

export const SECRET_STATES = ["current", "outdated", "otherKey", "missing", "noKey", "notMeant"] as const;
export const SecretView = z.object({
  group: z.string(),
  name: z.string(),
  version: z.string(),
  target: z.custom<TargetSpec>((value) => typeof value === "object" && value !== null).meta({ title: "TargetSpec" }),
  createdAt: z.string(),
  updatedAt: z.string(),
  by: z.string(),
  nodes: z
    .array(z.object({ node: z.string(), state: z.enum(SECRET_STATES) }))
    .describe(
      "current: it has the value. outdated: an older one. otherKey: encrypted for a key that the node has no more. missing. noKey: the node has no key yet. notMeant: it has the value, and the target does not match it",
    ),
});
export type SecretView = z.infer<typeof SecretView>;
export const SecretPage = z.object({ items: z.array(SecretView), next: z.string().optional().describe("absent on the last page") });
export type SecretPage = z.infer<typeof SecretPage>;
