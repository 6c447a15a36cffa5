/** /session/oidc: to the OpenID provider, and back from it with a session. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { AppError, asAppError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { OidcUser } from "fleetcron-shared/model/access";
import { z } from "zod";
import { callerOfUser } from "../../access/authenticate.ts";
import { headOf } from "../../access/guarded-kv.ts";
import { LOGIN_MS, type Logins } from "../../access/oidc-login.ts";
import type { OidcProvider } from "../../access/oidc-provider.ts";
import { type OidcConfig, userOfClaims } from "../../access/oidc-setting.ts";
import { beginSession } from "../../ops/sessions.ts";
import { cookieOf, setCookie } from "../access.ts";
import { OidcAnswer } from "../access-schema.ts";
import { API_BASE } from "../api-schema.ts";
import type { App } from "../app.ts";
import { sendToBrowser } from "../browser-page.ts";
import { giveCookie, type SessionRouteDeps } from "./session.ts";

export type Oidc = { readonly config: OidcConfig; readonly provider: OidcProvider; readonly logins: Logins };
export type OidcRouteDeps = SessionRouteDeps & {
  readonly oidc: Oidc | undefined;
  readonly log: Log;
  /** Where people reach the console; undefined: as their browser says. */
  readonly publicUrl: URL | undefined;
};

export const OIDC_PATH = `${API_BASE}/session/oidc`;
const GONE = { 302: z.null() };

export function addOidcRoutes(app: App, deps: OidcRouteDeps): void {
  // The provider sends browsers here, so nothing is thrown: they are shown a page. HEAD would spend a login.
  app.get("/session/oidc", { exposeHeadRoute: false, schema: { response: GONE } }, (request, reply) =>
    orPage(deps, request, reply, async () => {
      const { provider, logins } = needOidc(deps);
      const login = logins.begin();
      const to = await provider.begin(login, redirectOf(deps, request));
      setLogin(deps, reply, login.cookie);
      return reply.redirect(to.href);
    }),
  );
  const callback = { exposeHeadRoute: false, schema: { querystring: OidcAnswer, response: GONE } };
  app.get("/session/oidc/callback", callback, (request, reply) =>
    orPage(deps, request, reply, async () => {
      await logIn(deps, request, reply);
      return reply.redirect("/");
    }),
  );
}

async function logIn(deps: OidcRouteDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { config, provider, logins } = needOidc(deps);
  const { sessions, guesses, log } = deps;
  guesses.admit(request.ip);
  const answer = redirectOf(deps, request);
  const { state } = request.query as OidcAnswer;
  const login = logins.open(cookieOf(request, cookieName(deps)), state);
  setLogin(deps, reply, "");
  await logins.spend(login);
  answer.search = request.raw.url?.split("?").slice(1).join("?") ?? "";
  const claims = await provider.finish(login, answer).catch((error: unknown) => {
    if (isCode(error, "auth/oidc")) guesses.failed(request.ip);
    throw error;
  });
  const known = userOfClaims(config, claims);
  if (known === undefined) {
    log.info({ subject: claims.sub, claims: Object.keys(claims) }, "a login through the provider was refused: no row of oidcRoles fits");
    throw new AppError("auth/no-role", `nobody has given you a role here: no row of oidcRoles fits what ${config.name} says of you`, {
      hint: `ask an admin of Fleetcron; at the provider you are ${claims.sub}`,
    });
  }
  const user: OidcUser = { type: "oidc", ...known };
  const head = headOf(sessions, deps.access.asking(request, callerOfUser(user)));
  giveCookie(deps, reply, await beginSession(sessions, user, { remote: request.ip, head }));
}

async function orPage(deps: OidcRouteDeps, request: FastifyRequest, reply: FastifyReply, go: () => Promise<FastifyReply>) {
  try {
    return await go();
  } catch (thrown) {
    const error = asAppError(thrown);
    // Not the address of the request, which has the code.
    if (error.row.status >= 500) deps.log.warn({ err: error, code: error.code }, "a login through the provider failed");
    return sendToBrowser(request, reply, error);
  }
}

function needOidc({ oidc }: OidcRouteDeps): Oidc {
  if (oidc !== undefined) return oidc;
  throw new AppError("auth/no-oidc", "no OpenID provider is configured at this master", {
    hint: "log in with a token, or set oidcIssuer (docs/access.md)",
  });
}

/** Where the provider sends the browser back to; it knows the address, or refuses. */
function redirectOf({ publicUrl, secure }: OidcRouteDeps, request: FastifyRequest): URL {
  const path = `${OIDC_PATH}/callback`;
  if (publicUrl !== undefined) return new URL(path, publicUrl);
  const { host = "" } = request.headers;
  const own = `${secure ? "https" : "http"}://${host}`;
  if (/^[A-Za-z0-9.:[\]-]+$/.test(host) && URL.canParse(own)) return new URL(path, own);
  throw new AppError("input/usage", "the Host of the request is no address", { hint: "use the console at the address of this master" });
}

/** Lax, because the browser comes back from another site. */
function setLogin(deps: OidcRouteDeps, reply: FastifyReply, value: string): void {
  const maxAgeS = value === "" ? 0 : LOGIN_MS / 1000;
  setCookie(reply, { name: cookieName(deps), value, maxAgeS, secure: deps.secure, path: OIDC_PATH, lax: true });
}

function cookieName({ cookieName: name, secure }: OidcRouteDeps): string {
  return secure ? `__Secure-${name.replace("__Host-", "")}-login` : `${name}-login`;
}
