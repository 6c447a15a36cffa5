/** /session: log in with a token or a link, who am I, log out, make a link; /sessions: those of others. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { AppError } from "fleetcron-shared/base/errors";
import type { TokenInfo } from "fleetcron-shared/model/facts";
import type { Authenticate } from "../../access/authenticate.ts";
import { callerOfToken, checkToken } from "../../access/authenticate.ts";
import { headOf } from "../../access/guarded-kv.ts";
import type { Guesses } from "../../access/guesses.ts";
import type { Caller } from "../../caller.ts";
import {
  type Begun,
  beginSession,
  endSession,
  findLink,
  hashOfSession,
  listSessions,
  makeLink,
  type SessionDeps,
} from "../../ops/sessions.ts";
import { type Access, checkOrigin, setCookie } from "../access.ts";
import * as Api from "../access-schema.ts";
import { Deleted } from "../api-schema.ts";
import type { App } from "../app.ts";

export type SessionRouteDeps = {
  readonly sessions: SessionDeps;
  readonly access: Access;
  readonly authenticate: Authenticate;
  readonly guesses: Guesses;
  readonly cookieName: string;
  /** Served under TLS. */
  readonly secure: boolean;
  /** What else the login page offers. */
  readonly methods: Api.LoginMethods;
};

export function addSessionRoutes(app: App, deps: SessionRouteDeps): void {
  const { sessions, access } = deps;

  app.post("/session", { schema: { body: Api.LoginBody, response: { 200: Api.SessionView } } }, async (request, reply) => {
    // Another site must not log somebody in as somebody else.
    checkOrigin(request);
    // No answer of this is kept for an Idempotency-Key.
    request.claim = null;
    const { body } = request;
    if ("token" in body) {
      const info = deps.authenticate.token(body.token, request.ip);
      return begin(deps, request, reply, info);
    }
    deps.guesses.admit(request.ip);
    const link = await findLink(sessions, body.code).catch((error: unknown) => {
      deps.guesses.failed(request.ip);
      throw error;
    });
    const info = sessions.views.tokens.get(sessions.keys.token(link.token));
    if (info === undefined) throw new AppError("auth/revoked", `the token ${link.token} of the link does not exist any more`);
    checkToken(sessions.clock, info);
    return begin(deps, request, reply, info, link);
  });

  app.get("/session", { schema: { response: { 200: Api.SessionView } } }, (request) => sessionView(callerIn(request)));

  app.delete("/session", { schema: { response: { 200: Deleted } } }, async (request, reply) => {
    const caller = callerIn(request);
    if (caller.session === undefined) {
      throw new AppError("input/usage", "a bearer token has no session to end", {
        hint: "revoke the token instead: DELETE /api/v1/tokens/ID",
      });
    }
    await endSession(sessions, caller.session.hash, headOf(sessions, access.asking(request, caller)));
    setCookie(reply, { name: deps.cookieName, value: "", maxAgeS: 0, secure: deps.secure });
    return { deleted: caller.session.id };
  });

  app.post("/session/links", { schema: { response: { 200: Api.LinkMade } } }, (request) => {
    const caller = callerIn(request);
    if (caller.type !== "token") {
      throw new AppError("auth/denied", `a login link is in the name of a token, and ${caller.name} is none`, {
        hint: "make one with a token: `fleetcron token login-link`",
      });
    }
    request.claim = null;
    return makeLink(sessions, caller.name, headOf(sessions, access.asking(request, caller)));
  });

  app.get("/session/methods", { schema: { response: { 200: Api.LoginMethods } } }, () => deps.methods);

  app.get("/sessions", { schema: { querystring: Api.PlainListQuery, response: { 200: Api.SessionPage } } }, (request) =>
    listSessions(sessions, request.query),
  );
  app.delete("/sessions/:session", { schema: { params: Api.SessionParams, response: { 200: Deleted } } }, async (request) => {
    const { session } = request.params;
    await endSession(sessions, hashOfSession(sessions, session), headOf(sessions, access.asking(request, callerIn(request))));
    return { deleted: session };
  });
}

async function begin(
  deps: SessionRouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  info: TokenInfo,
  spend?: { key: string; revision: number },
): Promise<Api.SessionView> {
  const caller = callerOfToken(info);
  const about = {
    remote: request.ip,
    head: headOf(deps.sessions, deps.access.asking(request, caller)),
    ...(info.expiresAt === undefined ? {} : { expiresAt: info.expiresAt }),
  };
  const begun = await beginSession(deps.sessions, { type: "token", token: info.id }, about, spend);
  giveCookie(deps, reply, begun);
  return sessionView(withSession(caller, begun));
}

/** The cookie of a session that has just begun. */
export function giveCookie(
  deps: Pick<SessionRouteDeps, "cookieName" | "secure" | "sessions">,
  reply: FastifyReply,
  { cookie, session }: Begun,
): void {
  const maxAgeS = Math.max(1, Math.floor((Date.parse(session.expiresAt) - deps.sessions.clock.now()) / 1000));
  setCookie(reply, { name: deps.cookieName, value: cookie, maxAgeS, secure: deps.secure });
}

function withSession(caller: Caller, { hash, session: { id, csrf, expiresAt } }: Begun): Caller {
  return { ...caller, session: { id, hash, csrf, expiresAt } };
}

function sessionView({ type, name, role, groups, session }: Caller): Api.SessionView {
  return {
    ...{ type, name, role },
    ...(groups === undefined ? {} : { groups: [...groups] }),
    ...(session === undefined ? {} : { csrf: session.csrf, expiresAt: session.expiresAt }),
  };
}

function callerIn(request: FastifyRequest): Caller {
  if (request.caller === null) throw new AppError("internal/bug", "a route with a caller has none");
  return request.caller;
}
