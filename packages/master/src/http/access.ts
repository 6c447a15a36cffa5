/**
 * Lets requests in: finds out who asks, whether the route is for such a one (access-table.ts), and sees to it that everything that happens for the request knows.
 * Changes with a session cookie must come from the console's own pages: they carry the session's CSRF token, and no foreign Origin.
 */
import type { AsyncLocalStorage } from "node:async_hooks";
import { timingSafeEqual } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { AppError } from "fleetcron-shared/base/errors";
import type { Authenticate } from "../access/authenticate.ts";
import { sha256 } from "../access/authenticate.ts";
import { type Asking, type Caller, needCluster, needGroup, needRole } from "../caller.ts";
import { needOf } from "./access-table.ts";
import { API_BASE } from "./api-schema.ts";
import type { App } from "./app.ts";

export const CSRF_HEADER = "x-fleetcron-csrf";
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];

export type Access = {
  /** Who asks, by bearer token or cookie; throws what keeps it out. */
  caller(request: FastifyRequest): Promise<Caller>;
  /** The request, made by `caller`. */
  asking(request: FastifyRequest, caller: Caller): Asking;
  /** Runs `fn` for that request. */
  run<T>(asking: Asking, fn: () => T): T;
};

export function createAccess(deps: { authenticate: Authenticate; current: AsyncLocalStorage<Asking>; cookieName: string }): Access {
  return {
    async caller(request) {
      const bearer = bearerOf(request);
      const caller = await deps.authenticate.caller({ bearer, cookie: cookieOf(request, deps.cookieName), address: request.ip });
      if (caller.session !== undefined && !SAFE_METHODS.includes(request.method)) checkOwnPage(request, caller.session.csrf);
      return caller;
    },
    asking: (request, caller) => ({ caller, request: nameOf(request), requestId: request.id, remote: request.ip }),
    run: (asking, fn) => deps.current.run(asking, fn),
  };
}

/** Before everything else of the routes in `app`. */
export function addAccess(app: App, access: Access): void {
  app.addHook("onRequest", async (request, reply) => {
    void reply.header("cache-control", "no-store");
    const need = needOf(request.method, patternOf(request));
    if (need === "public") return;
    const caller = await access.caller(request);
    const name = nameOf(request);
    needRole(caller, need.role, name);
    if (need.reach === "cluster") needCluster(caller, name);
    const { group } = (request.params ?? {}) as { group?: string };
    if (need.reach === "groups" && group !== undefined) needGroup(caller, group);
    request.caller = caller;
  });
  // Reading the body loses the context, so it begins behind that.
  app.addHook("preHandler", (request, _reply, done) => {
    if (request.caller === null) done();
    else access.run(access.asking(request, request.caller), done);
  });
}

/** Throws `auth/csrf`. */
export function checkOwnPage(request: FastifyRequest, csrf: string): void {
  checkOrigin(request);
  const given = request.headers[CSRF_HEADER];
  if (typeof given === "string" && timingSafeEqual(sha256(given), sha256(csrf))) return;
  throw new AppError("auth/csrf", `a change with a session cookie needs the header ${CSRF_HEADER}`, {
    hint: "its value is `csrf` of GET /api/v1/session; programs use a bearer token instead",
  });
}

/** Browsers say where a request comes from. Throws `auth/csrf`. */
export function checkOrigin(request: FastifyRequest): void {
  const { origin, host, "sec-fetch-site": site } = request.headers;
  const isForeign = (origin !== undefined && hostOf(origin) !== host) || (site !== undefined && site !== "same-origin" && site !== "none");
  if (isForeign)
    throw new AppError("auth/csrf", "the request comes from a page of another site", { hint: "use the console of this master" });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** What stands behind `Authorization: Bearer`. */
export function bearerOf(request: Pick<FastifyRequest, "headers">): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(request.headers.authorization ?? "")?.[1];
}

export function cookieOf(request: Pick<FastifyRequest, "headers">, name: string): string | undefined {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const value = pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
  return value !== undefined && /^[A-Za-z0-9_-]{1,200}$/.test(value) ? value : undefined;
}

/** `HttpOnly`, never sent by other sites, and under TLS never without. `maxAgeS` 0 takes it back. */
export function setCookie(
  reply: FastifyReply,
  cookie: { name: string; value: string; maxAgeS: number; secure: boolean; path?: string; lax?: boolean },
): void {
  const { name, value, maxAgeS, secure, path = "/", lax = false } = cookie;
  const parts = [
    `${name}=${value}`,
    `Path=${path}`,
    `Max-Age=${maxAgeS}`,
    "HttpOnly",
    `SameSite=${lax ? "Lax" : "Strict"}`,
    ...(secure ? ["Secure"] : []),
  ];
  void reply.header("set-cookie", parts.join("; "));
}

function patternOf(request: FastifyRequest): string {
  return (request.routeOptions.url ?? "").slice(API_BASE.length);
}

function nameOf(request: FastifyRequest): string {
  return `${request.method} ${patternOf(request)}`;
}
