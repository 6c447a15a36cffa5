/** The plain values of the keys about access: console sessions, login links, the audit log. Tokens and roles are in facts.ts. */
import type { Role } from "./facts.ts";

/** Who somebody is who has logged in at the console: whoever holds that token, or somebody whom an OpenID provider knows. */
export type SessionUser = { readonly type: "token"; readonly token: string } | OidcUser;

export type OidcUser = {
  readonly type: "oidc";
  /** Never changes at the provider. */
  readonly subject: string;
  /** What decisions and the audit log are signed with: `oidc:…`, which no token is called. */
  readonly name: string;
  /** As the claims were at the login. */
  readonly role: Role;
  readonly groups?: readonly string[];
};

/** `sessions/<hash of the cookie>`, under a lease that each use prolongs. */
export type ConsoleSession = {
  readonly v: 1;
  readonly id: string;
  readonly user: SessionUser;
  /** Sent back with each change, so that no other site can make one. */
  readonly csrf: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly remote: string;
};

/** `logins/<hash of the link>`, under a lease: a login that can be done once. */
export type LoginLink = { readonly v: 1; readonly token: string; readonly expiresAt: string };

/** `logins/<hash>` too: a login through a provider that has come back, so that it does not come back again. */
export type SpentLogin = { readonly v: 1; readonly by: string; readonly expiresAt: string };

/** `audit/<id>`: a change, who made it, and what was before and after. */
export type AuditEntry = {
  readonly v: 1;
  readonly id: string;
  readonly at: string;
  readonly who: { readonly type: "token" | "user" | "system"; readonly name: string; readonly role?: Role };
  /** What was asked for, such as `PUT /jobs/:group/:id`. */
  readonly request: string;
  readonly requestId: string;
  readonly remote: string;
  readonly changes: readonly AuditChange[];
  /** Further changes of the same transaction that found no room. */
  readonly more?: number;
};

export type AuditChange = {
  /** `job`, `pipeline`, `run`, `execution`, `node`, `secret`, `channel`, `global`, `token` … */
  readonly kind: string;
  readonly key: string;
  readonly action: string;
  readonly before?: unknown;
  readonly after?: unknown;
  /** Values were too large and are left out. */
  readonly cut?: true;
};
