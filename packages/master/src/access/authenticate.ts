/**
 * Who asks: a bearer token against the hashes in `tokens/`, or the cookie of a console session in `sessions/`. Every hash is compared, each in constant time. Etcd
 * away: the tokens and sessions last known go on being accepted.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Clock, fromIso, toIso } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { ConsoleSession, OidcUser, SessionUser } from "fleetcron-shared/model/access";
import type { TokenInfo } from "fleetcron-shared/model/facts";
import { type Kv, unchanged } from "fleetcron-shared/store/kv";
import type { View } from "fleetcron-shared/store/view";
import { decode, encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Caller } from "../caller.ts";
import type { Guesses } from "./guesses.ts";

export type AuthDeps = {
  readonly kv: Kv;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly log: Log;
  readonly tokens: Pick<View<TokenInfo>, "entries" | "get" | "revision">;
  readonly sessions: Pick<View<ConsoleSession>, "get">;
  readonly guesses: Guesses;
};

/** What a request brings along. */
export type Credentials = { readonly bearer: string | undefined; readonly cookie: string | undefined; readonly address: string };

export type Authenticate = {
  /** Throws `auth/missing`, `auth/denied`, `auth/expired`, `auth/revoked`, `auth/session`, `auth/locked`, and `server/not-ready` before tokens are known. */
  caller(credentials: Credentials): Promise<Caller>;
  /** The token that has this text; throws as `caller`. */
  token(text: string, address: string): TokenInfo;
  /** A caller as it is now, of somebody who has been let in and is still here; throws as `caller`. */
  again(caller: Caller): Caller;
};

/** `lastUsedAt` of a token, and the lease of a session, are no more exact than this. */
const USE_MS = 3_600_000;
const TOUCH_MS = 60_000;
const MAX_TOUCHED = 10_000;

export function createAuthenticate(deps: AuthDeps): Authenticate {
  const { kv, keys, clock, log, tokens, sessions, guesses } = deps;
  /** Uses that are being noted. */
  const noting = new Set<string>();
  const touched = new Map<string, number>();

  function token(text: string, address: string): TokenInfo {
    if (tokens.revision() === 0) throw new AppError("server/not-ready", "the master has not yet read the tokens from etcd");
    const found = byHash(tokens, sha256(text));
    guesses.admit(address, found?.id);
    if (found === undefined) {
      guesses.failed(address);
      throw new AppError("auth/denied", "the token is not known here", { hint: "is it of this cluster?" });
    }
    checkToken(clock, found);
    guesses.succeeded(address, found.id);
    void noteUse(found);
    return found;
  }

  async function noteUse(found: TokenInfo): Promise<void> {
    const lastMs = fromIso(found.lastUsedAt ?? "") ?? 0;
    if (clock.now() - lastMs < USE_MS || noting.has(found.id)) return;
    noting.add(found.id);
    try {
      const key = keys.token(found.id);
      const entry = await kv.get(key);
      if (entry === undefined) return;
      const value: TokenInfo = { ...decode<TokenInfo>(key, entry.value), lastUsedAt: toIso(clock.now()) };
      await kv.txn({ if: [unchanged(key, entry.modRevision)], then: [{ op: "put", key, value: encode(value) }] });
    } catch (error) {
      log.debug({ err: asError(error), token: found.id }, "the use of a token could not be noted");
    } finally {
      noting.delete(found.id);
    }
  }

  async function session(cookie: string, address: string): Promise<Caller> {
    const hash = sha256(cookie).toString("hex");
    const key = keys.session(hash);
    let held = sessions.get(key);
    if (held === undefined) {
      // It may be so new that only etcd has it. Who guesses is slowed down before he costs a read.
      guesses.admit(address);
      const entry = await kv.get(key);
      held = entry === undefined ? undefined : tryDecode<ConsoleSession>(key, entry.value);
      if (held === undefined) guesses.failed(address);
    }
    const expiresMs = fromIso(held?.expiresAt ?? "") ?? 0;
    if (held === undefined || expiresMs <= clock.now()) throw sessionOver();
    void touch(hash);
    const { id, csrf, expiresAt } = held;
    return { ...userOf(held.user), session: { id, hash, csrf, expiresAt } };
  }

  /** Idle time begins anew; once a minute is enough. */
  async function touch(hash: string): Promise<void> {
    const now = clock.mono();
    if (now - (touched.get(hash) ?? Number.NEGATIVE_INFINITY) < TOUCH_MS) return;
    const [oldest] = touched.keys();
    if (touched.size >= MAX_TOUCHED && oldest !== undefined) touched.delete(oldest);
    touched.delete(hash);
    touched.set(hash, now);
    try {
      const entry = await kv.get(keys.session(hash));
      if (entry?.lease !== undefined) await kv.keepAlive(entry.lease);
    } catch (error) {
      touched.delete(hash);
      log.debug({ err: asError(error) }, "a session could not be prolonged");
    }
  }

  /** A session of a token may what the token may now; that of a provider's user, what it might at the login. */
  function userOf(user: SessionUser): Caller {
    if (user.type === "oidc") return callerOfUser(user);
    const info = tokens.get(keys.token(user.token));
    if (info === undefined) throw new AppError("auth/revoked", `the token ${user.token} does not exist any more`);
    checkToken(clock, info);
    return callerOfToken(info);
  }

  return {
    token,
    again(caller) {
      const { name, session } = caller;
      if (session !== undefined) {
        const held = sessions.get(keys.session(session.hash));
        if (held === undefined || (fromIso(held.expiresAt) ?? 0) <= clock.now()) throw sessionOver();
        return { ...userOf(held.user), session };
      }
      return userOf({ type: "token", token: name });
    },
    async caller({ bearer, cookie, address }) {
      if (bearer !== undefined) return callerOfToken(token(bearer, address));
      if (cookie !== undefined) return session(cookie, address);
      throw new AppError("auth/missing", "the request carries no token", {
        hint: "send `Authorization: Bearer TOKEN`; the first start has written one to admin-token in the master's data folder",
      });
    },
  };
}

function sessionOver(): AppError {
  return new AppError("auth/session", "the console session has ended", { hint: "log in again" });
}

export function callerOfUser({ name, role, groups }: OidcUser): Caller {
  return { type: "user", name, role, groups };
}

export function callerOfToken(info: TokenInfo): Caller {
  return { type: "token", name: info.id, role: info.role, groups: info.groups };
}

/** Throws `auth/expired`, `auth/revoked`. */
export function checkToken(clock: Pick<Clock, "now">, info: TokenInfo): void {
  if (info.revokedAt !== undefined) {
    throw new AppError("auth/revoked", `the token ${info.id} was revoked at ${info.revokedAt} by ${info.revokedBy ?? "an admin"}`, {
      hint: "an admin can make another one: `fleetcron token create`",
    });
  }
  if (info.expiresAt === undefined || (fromIso(info.expiresAt) ?? 0) > clock.now()) return;
  throw new AppError("auth/expired", `the token ${info.id} has expired at ${info.expiresAt}`, {
    hint: "an admin can make another one: `fleetcron token create`",
  });
}

export function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function byHash(tokens: Pick<View<TokenInfo>, "entries">, given: Buffer): TokenInfo | undefined {
  let found: TokenInfo | undefined;
  for (const [, token] of tokens.entries()) {
    const known = Buffer.from(token.sha256, "hex");
    if (known.length === given.length && timingSafeEqual(known, given)) found = token;
  }
  return found;
}
