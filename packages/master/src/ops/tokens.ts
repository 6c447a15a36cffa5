/** Access tokens: make, list, revoke. The token itself is shown once; etcd has its hash. */
import { createHash } from "node:crypto";
import { type Clock, fromIso, toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { suggestHint } from "fleetcron-shared/base/suggest";
import type { Role, TokenInfo } from "fleetcron-shared/model/facts";
import { absent, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { TokenMade, TokenPage, TokenView } from "../http/access-schema.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { pageByKey } from "./page.ts";
import { putUnder } from "./settle.ts";

export type TokenWish = {
  readonly name?: string | undefined;
  readonly role: Role;
  readonly groups?: readonly string[] | undefined;
  readonly expiresInMs?: number | undefined;
};

type TokenDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "random">;

/** Throws `token/exists`. */
export async function createToken(deps: TokenDeps, wish: TokenWish, by: string): Promise<TokenMade> {
  const { kv, keys, clock, random, views } = deps;
  const id = wish.name ?? `t-${Buffer.from(random.bytes(5)).toString("hex")}`;
  const token = `fct_${Buffer.from(random.bytes(32)).toString("base64url")}`;
  const nowMs = clock.now();
  const info: TokenInfo = {
    ...{
      v: 1,
      id,
      sha256: createHash("sha256").update(token).digest("hex"),
      role: wish.role,
      name: id,
      createdAt: toIso(nowMs),
      createdBy: by,
    },
    ...(wish.groups === undefined ? {} : { groups: [...new Set(wish.groups)].sort() }),
    ...(wish.expiresInMs === undefined ? {} : { expiresAt: toIso(nowMs + wish.expiresInMs) }),
  };
  const revision = await putUnder(kv, absent(keys.token(id)), keys.token(id), encode(info));
  if (revision === undefined) {
    throw new AppError("token/exists", `there is a token ${id}, or was one until some weeks ago`, {
      hint: "decisions and the audit log are signed with these names: choose another one",
    });
  }
  await views.tokens.reached(revision);
  return { ...tokenView(clock, info), token };
}

export function listTokens(deps: Pick<TokenDeps, "views" | "clock">, query: { limit: number; cursor?: string | undefined }): TokenPage {
  const all = [...deps.views.tokens.entries()].map(([, info]) => info);
  const { items, ...rest } = pageByKey(all, ({ id }) => id, query);
  return { ...rest, items: items.map((info) => tokenView(deps.clock, info)) };
}

/** It is refused from then on, and forgotten some weeks later. Idempotent. Throws `token/not-found`, `write/conflict` for the last admin token. */
export async function revokeToken(deps: TokenDeps, id: string, by: string): Promise<TokenView> {
  const { kv, keys, clock, views } = deps;
  const key = keys.token(id);
  for (let attempt = 0; attempt < 5; attempt++) {
    const entry = await kv.get(key);
    if (entry === undefined) {
      const names = [...views.tokens.entries()].map(([, info]) => info.id);
      throw new AppError("token/not-found", `there is no token ${id}`, { hint: suggestHint(id, names) });
    }
    const info = decode<TokenInfo>(key, entry.value);
    if (info.revokedAt !== undefined) return tokenView(clock, info);
    checkNotLast(deps, info);
    const revoked: TokenInfo = { ...info, revokedAt: toIso(clock.now()), revokedBy: by };
    const revision = await putUnder(kv, unchanged(key, entry.modRevision), key, encode(revoked));
    if (revision === undefined) continue;
    await views.tokens.reached(revision);
    return tokenView(clock, revoked);
  }
  throw new AppError("write/conflict", `the token ${id} is being changed all the time`);
}

/** Somebody must be able to make the next token. */
function checkNotLast({ views, clock }: Pick<TokenDeps, "views" | "clock">, info: TokenInfo): void {
  const isRuler = (one: TokenInfo) => one.role === "admin" && one.groups === undefined && stateOf(clock, one) === "active";
  if (!isRuler(info) || [...views.tokens.entries()].some(([, one]) => one.id !== info.id && isRuler(one))) return;
  throw new AppError("write/conflict", `the token ${info.id} is the last admin token without groups`, {
    hint: "make another one first: `fleetcron token create --role admin`",
  });
}

function stateOf(clock: Pick<Clock, "now">, { revokedAt, expiresAt }: TokenInfo): TokenView["state"] {
  if (revokedAt !== undefined) return "revoked";
  return expiresAt !== undefined && (fromIso(expiresAt) ?? 0) <= clock.now() ? "expired" : "active";
}

/** Without the hash. */
function tokenView(clock: Pick<Clock, "now">, info: TokenInfo): TokenView {
  const { v: _, sha256: __, name: ___, groups, ...rest } = info;
  return { ...rest, ...(groups === undefined ? {} : { groups: [...groups] }), state: stateOf(clock, info) };
}
