/** The settings of a login through an OpenID provider, as the master works with them, and which role its people get. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Role } from "fleetcron-shared/model/facts";

export type OidcConfig = {
  readonly issuer: URL;
  readonly clientId: string;
  readonly clientSecretFile: string;
  /** The first that fits gives the role. */
  readonly rows: readonly RoleRow[];
  readonly name: string;
  readonly scopes: readonly string[];
  readonly userClaim: string;
};

/** What a provider says of somebody. */
export type Claims = Readonly<Record<string, unknown>> & { readonly sub: string };

/** Whoever has the claim with this value, alone or among others, has the role, in these groups or in all. */
export type RoleRow = {
  readonly claim: string;
  readonly value: string;
  readonly role: Role;
  readonly groups: readonly string[] | undefined;
};

const ROW = /^(viewer|operator|admin)(?:@([^:]*))?:([^=]+)=(.+)$/;
const GROUP = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const ROW_FORM = "ROLE:CLAIM=VALUE or ROLE@GROUP+GROUP:CLAIM=VALUE, such as operator@db+web:groups=dba";
/** Without spaces or control characters: it is shown, and written into lists of who may decide. */
const NAME = /^[^\s\p{C}]{1,200}$/u;
const MAX_SECRET = 8192;

/** `operator@db+web:groups=dba`; undefined when it is not of that form. */
export function parseRoleRow(text: string): RoleRow | undefined {
  const [, role, groups, claim, value] = ROW.exec(text) ?? [];
  if (role === undefined || claim === undefined || value === undefined) return undefined;
  const named = groups?.split("+");
  if (named?.some((group) => !GROUP.test(group))) return undefined;
  return { role: role as Role, groups: named, claim, value };
}

export type OidcSettings = {
  readonly oidcIssuer?: string;
  readonly oidcClientId?: string;
  readonly oidcClientSecretFile?: string;
  readonly oidcRoles: readonly string[];
  readonly oidcName: string;
  readonly oidcScopes: readonly string[];
  readonly oidcUserClaim: string;
};

/** Undefined when no provider is set. Throws `config/invalid` for half a provider, and an address that could be listened to on its way. */
export function oidcConfig(settings: OidcSettings): OidcConfig | undefined {
  const { oidcIssuer, oidcClientId, oidcClientSecretFile, oidcRoles } = settings;
  const given = {
    oidcIssuer,
    oidcClientId,
    oidcClientSecretFile,
    oidcRoles: oidcRoles.length === 0 ? undefined : oidcRoles,
  };
  const missing = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (missing.length === Object.keys(given).length) return undefined;
  if (oidcIssuer === undefined || oidcClientId === undefined || oidcClientSecretFile === undefined || missing.length > 0) {
    throw new AppError("config/invalid", `a login through an OpenID provider also needs ${missing.join(", ")}`, {
      hint: "set oidcIssuer, oidcClientId, oidcClientSecretFile and oidcRoles, or none of them",
    });
  }
  return {
    issuer: issuerOf(oidcIssuer),
    clientId: oidcClientId,
    clientSecretFile: oidcClientSecretFile,
    rows: oidcRoles.flatMap((text) => parseRoleRow(text) ?? []),
    name: settings.oidcName,
    scopes: [...new Set(["openid", ...settings.oidcScopes])],
    userClaim: settings.oidcUserClaim,
  };
}

function issuerOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (isPlain && (url.protocol === "https:" || isLoopbackHttp(url))) return url;
  throw new AppError("config/invalid", `oidcIssuer: "${text}" is not the address of an OpenID provider`, {
    hint: "its issuer as the provider names it, such as https://login.example.com/realms/ops; http:// only on this host (127.0.0.1, localhost)",
  });
}

export function isLoopbackHttp(url: URL): boolean {
  const { protocol, hostname } = url;
  return (
    protocol === "http:" && (hostname === "localhost" || hostname === "[::1]" || (isIP(hostname) === 4 && hostname.startsWith("127.")))
  );
}

/** Throws `config/invalid`. */
export function readClientSecret({ clientSecretFile }: Pick<OidcConfig, "clientSecretFile">): string {
  let text: string;
  try {
    text = readFileSync(clientSecretFile, "utf8").trim();
  } catch (cause) {
    throw new AppError("config/invalid", `oidcClientSecretFile: ${clientSecretFile} cannot be read: ${asError(cause).message}`, { cause });
  }
  if (text !== "" && text.length <= MAX_SECRET) return text;
  throw new AppError("config/invalid", `oidcClientSecretFile: ${clientSecretFile} is ${text === "" ? "empty" : "too long for a secret"}`, {
    hint: "it holds the secret that the provider has given to the client, and nothing else",
  });
}

/** Who it is here; undefined when no row fits. The name begins with `oidc:`, so that it can never be that of a token. */
export function userOfClaims(
  { rows, userClaim }: Pick<OidcConfig, "rows" | "userClaim">,
  claims: Claims,
): { subject: string; name: string; role: Role; groups?: readonly string[] } | undefined {
  const row = rows.find(({ claim, value }) => [claimOf(claims, claim)].flat().some((one) => isText(one) && String(one) === value));
  if (row === undefined) return undefined;
  const said = userClaim === "email" && claims.email_verified === false ? undefined : claimOf(claims, userClaim);
  const own = typeof said === "string" && NAME.test(said) ? said : claims.sub;
  return { subject: claims.sub, name: `oidc:${own}`, role: row.role, ...(row.groups === undefined ? {} : { groups: row.groups }) };
}

/** The claim of that name, or, for `realm_access.roles`, what lies within. */
function claimOf(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let at: unknown = claims;
  for (const part of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

function isText(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
