/**
 * Sessions of the console: begun with a token or a login link, ended by logging out, by an admin, by time and by idleness. They are in etcd
 * under a lease each, by a hash of the cookie, so that every master knows them and nobody who reads etcd can use them. Etcd away: nobody logs in.
 */
import { createHash } from "node:crypto";
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { AuditChange, AuditEntry, ConsoleSession, LoginLink, SessionUser } from "fleetcron-shared/model/access";
import { absent, exists, type Op, prefixRange, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { LinkMade, SessionPage } from "../http/access-schema.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { pageByKey } from "./page.ts";
import { settle } from "./settle.ts";

export type SessionTimes = { readonly maxMs: number; readonly idleMs: number };

/** `kv`: as it is, without the guard of requests: who logs in is nobody yet. */
export type SessionDeps = Pick<OpsDeps, "kv" | "keys" | "clock" | "random" | "newId" | "views"> & { readonly times: SessionTimes };

/** The entry of the audit log without its changes: who, when, from where. */
export type AuditHead = Omit<AuditEntry, "changes" | "more">;

export type Begun = { readonly cookie: string; readonly hash: string; readonly session: ConsoleSession };

const MAX_SESSIONS = 1000;
const LINK_MS = 600_000;

/** Begins a session; `spend`: the login link that pays for it. Throws `auth/link`, `auth/locked` when there are too many. */
export async function beginSession(
  deps: SessionDeps,
  user: SessionUser,
  about: { remote: string; head: AuditHead; expiresAt?: string | undefined },
  spend?: { key: string; revision: number },
): Promise<Begun> {
  const { kv, keys, clock, random, newId, views, times } = deps;
  const { count } = await kv.range({ ...prefixRange(keys.sessions), countOnly: true });
  if (count >= MAX_SESSIONS) {
    throw new AppError("auth/locked", `there are ${count} sessions already`, { hint: "log out elsewhere, or end sessions as an admin" });
  }
  const cookie = Buffer.from(random.bytes(32)).toString("base64url");
  const hash = hashOf(cookie);
  const nowMs = clock.now();
  const latest = toIso(nowMs + times.maxMs);
  const expiresAt = about.expiresAt !== undefined && about.expiresAt < latest ? about.expiresAt : latest;
  const csrf = Buffer.from(random.bytes(24)).toString("base64url");
  const session: ConsoleSession = { v: 1, id: newId(), user, csrf, createdAt: toIso(nowMs), expiresAt, remote: about.remote };
  const { lease } = await kv.grantLease(times.idleMs);
  const change: AuditChange = {
    kind: "session",
    key: session.id,
    action: "begun",
    after: { ...user, with: spend === undefined ? user.type : "link" },
  };
  const key = keys.session(hash);
  const { succeeded, revision } = await settle(kv, {
    if: [absent(key), ...(spend === undefined ? [] : [unchanged(spend.key, spend.revision)])],
    then: [
      { op: "put", key, value: encode(session), lease },
      ...(spend === undefined ? [] : [{ op: "delete", key: spend.key } satisfies Op]),
      { op: "put", key: keys.audit(about.head.id), value: encode({ ...about.head, changes: [change] }) },
    ],
  });
  if (!succeeded) {
    await kv.revokeLease(lease).catch(() => {});
    throw linkGone();
  }
  await views.sessions.reached(revision);
  return { cookie, hash, session };
}

/** Makes a login that can be done once, in the name of the token. */
export async function makeLink(deps: SessionDeps, token: string, head: AuditHead): Promise<LinkMade> {
  const { kv, keys, clock, random } = deps;
  const code = Buffer.from(random.bytes(24)).toString("base64url");
  const expiresAt = toIso(clock.now() + LINK_MS);
  const { lease } = await kv.grantLease(LINK_MS);
  const link: LoginLink = { v: 1, token, expiresAt };
  const change: AuditChange = { kind: "session", key: token, action: "link made" };
  await settle(kv, {
    then: [
      { op: "put", key: keys.login(hashOf(code)), value: encode(link), lease },
      { op: "put", key: keys.audit(head.id), value: encode({ ...head, changes: [change] }) },
    ],
  });
  return { code, path: `/#login=${code}`, expiresAt };
}

/** Whose link it is, and what it takes to spend it. Throws `auth/link`. */
export async function findLink(
  { kv, keys }: Pick<SessionDeps, "kv" | "keys">,
  code: string,
): Promise<{ token: string; key: string; revision: number }> {
  const key = keys.login(hashOf(code));
  const entry = await kv.get(key);
  if (entry === undefined) throw linkGone();
  return { token: decode<LoginLink>(key, entry.value).token, key, revision: entry.modRevision };
}

/** Idempotent. */
export async function endSession(deps: SessionDeps, hash: string, head: AuditHead): Promise<void> {
  const { kv, keys, views } = deps;
  const key = keys.session(hash);
  const entry = await kv.get(key);
  if (entry === undefined) return;
  const change: AuditChange = { kind: "session", key: decode<ConsoleSession>(key, entry.value).id, action: "ended" };
  const { revision } = await settle(kv, {
    if: [exists(key)],
    then: [
      { op: "delete", key },
      { op: "put", key: keys.audit(head.id), value: encode({ ...head, changes: [change] }) },
    ],
  });
  if (entry.lease !== undefined) await kv.revokeLease(entry.lease).catch(() => {});
  await views.sessions.reached(revision);
}

/** By its id, as it is listed. Throws `session/not-found`. */
export function hashOfSession({ views, keys }: Pick<SessionDeps, "views" | "keys">, id: string): string {
  for (const [key, session] of views.sessions.entries()) if (session.id === id) return keys.parts(key)[1] ?? "";
  throw new AppError("session/not-found", `there is no session ${id}`, { hint: "it may have ended" });
}

export function listSessions({ views }: Pick<SessionDeps, "views">, query: { limit: number; cursor?: string | undefined }): SessionPage {
  const all = [...views.sessions.entries()].map(([, session]) => session);
  const { items, ...rest } = pageByKey(all, ({ id }) => id, query);
  return {
    ...rest,
    items: items.map(({ v: _, csrf: __, ...view }) => view),
  };
}

function linkGone(): AppError {
  return new AppError("auth/link", "the login link was used already, or its time is over", {
    hint: "`fleetcron token login-link` makes another one",
  });
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
