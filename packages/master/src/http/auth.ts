/**
 * Who asks: the bearer token against the hashes in `tokens/`. Every hash is compared, each in constant time. Reading needs the role viewer,
 * everything else operator or admin. Etcd away: the tokens last known go on being accepted.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { AppError } from "fleetcron-shared/base/errors";
import type { TokenInfo } from "fleetcron-shared/model/facts";
import type { View } from "fleetcron-shared/store/view";

/** The token of the request. Throws `auth/missing`, `auth/denied`, and `server/not-ready` before tokens are known. */
export function authenticate(
  tokens: Pick<View<TokenInfo>, "entries" | "revision">,
  request: Pick<FastifyRequest, "headers" | "method">,
): TokenInfo {
  const bearer = bearerOf(request);
  if (tokens.revision() === 0) throw new AppError("server/not-ready", "the master has not yet read the tokens from etcd");
  const given = createHash("sha256").update(bearer).digest();
  let found: TokenInfo | undefined;
  for (const [, token] of tokens.entries()) {
    const known = Buffer.from(token.sha256, "hex");
    if (known.length === given.length && timingSafeEqual(known, given)) found = token;
  }
  if (found === undefined) throw new AppError("auth/denied", "the token is not known here", { hint: "is it of this cluster?" });
  if (found.role === "viewer" && request.method !== "GET" && request.method !== "HEAD") {
    throw new AppError("auth/denied", `the token ${found.id} may only read`);
  }
  return found;
}

/** What stands behind `Authorization: Bearer`; throws `auth/missing`. */
export function bearerOf(request: Pick<FastifyRequest, "headers">): string {
  const match = /^Bearer +([^\s]+)$/i.exec(request.headers.authorization ?? "");
  if (match?.[1] !== undefined) return match[1];
  throw new AppError("auth/missing", "the request carries no token", {
    hint: "send `Authorization: Bearer TOKEN`; the first start has written one to admin-token in the master's data folder",
  });
}
