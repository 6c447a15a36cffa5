/** Requests and responses of /tokens, /audit and /session; in all else as api-schema.ts. */
import { ROLES } from "fleetcron-shared/model/facts";
import { z } from "zod";
import { cursor, limit, page } from "./api-schema.ts";

const groupName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit");
const tokenName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit")
  .describe("decisions and the audit log are signed with it");
const role = z.enum(ROLES);
const instant = z.iso.datetime({ offset: true, error: "must be a time like 2027-01-31T08:00:00Z" });
const MAX_DAYS = 3650;

export const TokenParams = z.object({ token: z.string().regex(/^[A-Za-z0-9._:@-]{1,253}$/, "may hold only letters, digits and ._:@-") });
export const TokenBody = z.strictObject({
  name: tokenName.optional().describe("default: one that is made up"),
  role: role.default("viewer"),
  groups: z.array(groupName).min(1, "must name a group, or be left out for all groups").max(100).optional(),
  expiresInMs: z
    .number()
    .int()
    .min(1000)
    .max(MAX_DAYS * 86_400_000)
    .optional()
    .describe("absent: it does not expire"),
});
export type TokenBody = z.input<typeof TokenBody>;
export const TokenView = z.object({
  id: z.string(),
  role,
  groups: z.array(z.string()).optional().describe("absent: all, and what belongs to the whole cluster"),
  state: z.enum(["active", "expired", "revoked"]),
  createdAt: z.string(),
  createdBy: z.string().optional(),
  expiresAt: z.string().optional(),
  revokedAt: z.string().optional(),
  revokedBy: z.string().optional(),
  lastUsedAt: z.string().optional().describe("to the hour"),
});
export type TokenView = z.infer<typeof TokenView>;
export const TokenMade = TokenView.extend({ token: z.string().describe("shown only now") });
export type TokenMade = z.infer<typeof TokenMade>;
export const TokenPage = page(TokenView);
export type TokenPage = z.infer<typeof TokenPage>;
export const PlainListQuery = z.strictObject({ limit, cursor });
export type PlainListQuery = z.input<typeof PlainListQuery>;

export const AuditListQuery = z.strictObject({
  since: instant.optional(),
  until: instant.optional(),
  who: z.string().max(253).optional().describe("the name of a token or a user"),
  resource: z.string().max(253).optional().describe("a kind such as `job`, a key such as `db/backup`, or both: `job:db/backup`"),
  limit,
  cursor,
});
export type AuditListQuery = z.input<typeof AuditListQuery>;
export const AuditView = z.object({
  v: z.literal(1),
  id: z.string().describe("sorts by time"),
  at: z.string(),
  who: z.object({ type: z.enum(["token", "user", "system"]), name: z.string(), role: role.optional() }),
  request: z.string().describe("method and route"),
  requestId: z.string(),
  remote: z.string(),
  changes: z.array(
    z.object({
      kind: z.string(),
      key: z.string(),
      action: z.string(),
      before: z.unknown().optional(),
      after: z.unknown().optional(),
      cut: z.literal(true).optional().describe("values were too large and are left out"),
    }),
  ),
  more: z.number().optional().describe("further changes of the same transaction that found no room"),
});
export const AuditPage = page(AuditView);
export type AuditPage = z.infer<typeof AuditPage>;

const secret = z.string().min(1).max(200);
export const LoginBody = z.union([z.strictObject({ token: secret }), z.strictObject({ code: secret })], {
  error: 'must be {"token": "…"}, or {"code": "…"} of a login link',
});
export type LoginBody = z.infer<typeof LoginBody>;
export const SessionView = z.object({
  type: z.enum(["token", "user"]),
  name: z.string(),
  role,
  groups: z.array(z.string()).optional(),
  csrf: z.string().optional().describe("to be sent back as X-Fleetcron-CSRF with each change; absent without a session"),
  expiresAt: z.string().optional(),
});
export type SessionView = z.infer<typeof SessionView>;
export const LinkMade = z.object({
  code: z.string(),
  path: z.string().describe("behind the address of a master"),
  expiresAt: z.string(),
});
export type LinkMade = z.infer<typeof LinkMade>;
export const SessionParams = z.object({ session: z.string().max(64) });
export const SessionListView = z.object({
  id: z.string(),
  user: z.union([
    z.object({ type: z.literal("token"), token: z.string() }),
    z.object({
      type: z.literal("oidc"),
      subject: z.string(),
      name: z.string(),
      role,
      groups: z.array(z.string()).readonly().optional(),
    }),
  ]),
  createdAt: z.string(),
  expiresAt: z.string(),
  remote: z.string(),
});
export const SessionPage = page(SessionListView);
export type SessionPage = z.infer<typeof SessionPage>;
/** What a provider sends people back with; what else it adds is left to the check of the whole. */
export const OidcAnswer = z.looseObject({
  state: z.string().max(200).optional(),
  code: z.string().max(4096).optional(),
  error: z.string().max(200).optional(),
});
export type OidcAnswer = z.infer<typeof OidcAnswer>;
/** What the login page offers beside a token. */
export const LoginMethods = z.object({
  token: z.literal(true),
  oidc: z.object({ name: z.string(), path: z.string() }).nullable().describe("a provider to log in through; null: there is none"),
});
export type LoginMethods = z.infer<typeof LoginMethods>;
