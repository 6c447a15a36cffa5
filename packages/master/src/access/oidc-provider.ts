/**
 * The OpenID provider: its metadata, fetched when somebody logs in and kept for an hour, and the two steps of a login there. Whatever it does or does not do ends as
 * `auth/oidc` (begin again) or `auth/provider` (it is away, or does not know this master). Nothing of its answers is in an error but its own words for what is wrong.
 */

import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import {
  AuthorizationResponseError,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type ClientAuth,
  ClientError,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from "openid-client";
import type { Login } from "./oidc-login.ts";
import { type Claims, isLoopbackHttp, type OidcConfig } from "./oidc-setting.ts";

export type OidcProvider = {
  /** Where to send the browser. Throws `auth/provider`. */
  begin(login: Login, redirect: URL): Promise<URL>;
  /** What it says of whoever came back to `answer`. Throws `auth/oidc`, `auth/provider`. */
  finish(login: Login, answer: URL): Promise<Claims>;
};

const TIMEOUT_S = 10;
const KEEP_MS = 3_600_000;
const MAX_WORDS = 200;
/** What openid-client calls answers that are none of a provider in order. */
const AWAY_CODES = [
  ...["OAUTH_TIMEOUT", "OAUTH_ABORT", "OAUTH_RESPONSE_IS_NOT_CONFORM", "OAUTH_RESPONSE_IS_NOT_JSON", "OAUTH_PARSE_ERROR"],
  ...["OAUTH_HTTP_REQUEST_FORBIDDEN", "OAUTH_REQUEST_PROTOCOL_FORBIDDEN"],
];

export function createOidcProvider(deps: { clock: Pick<Clock, "mono">; log: Log }, config: OidcConfig, secret: string): OidcProvider {
  const { clock, log } = deps;
  const { issuer, clientId, scopes } = config;
  let held: { configuration: Configuration; atMs: number } | undefined;
  let asking: Promise<Configuration> | undefined;

  async function discover(): Promise<Configuration> {
    const execute = [enableNonRepudiationChecks, ...(isLoopbackHttp(issuer) ? [allowInsecureRequests] : [])];
    const configuration = await discovery(issuer, clientId, {}, clientAuth(secret), { execute, timeout: TIMEOUT_S });
    held = { configuration, atMs: clock.mono() };
    return configuration;
  }

  /** One question at a time, however many ask; an old answer is better than none. */
  async function known(): Promise<Configuration> {
    if (held !== undefined && clock.mono() - held.atMs < KEEP_MS) return held.configuration;
    asking ??= discover().finally(() => {
      asking = undefined;
    });
    try {
      return await asking;
    } catch (error) {
      if (held === undefined) throw away(issuer, whatFailed(error));
      log.warn(
        { issuer: issuer.href, why: whatFailed(error) },
        "the metadata of the OpenID provider could not be read again; those before are used",
      );
      return held.configuration;
    }
  }

  return {
    async begin(login, redirect) {
      const configuration = await known();
      try {
        return buildAuthorizationUrl(configuration, {
          redirect_uri: redirect.href,
          scope: scopes.join(" "),
          state: login.state,
          nonce: login.nonce,
          code_challenge: await calculatePKCECodeChallenge(login.verifier),
          code_challenge_method: "S256",
        });
      } catch (error) {
        throw away(issuer, whatFailed(error));
      }
    },
    async finish(login, answer) {
      const configuration = await known();
      try {
        const checks = { expectedState: login.state, expectedNonce: login.nonce, pkceCodeVerifier: login.verifier, idTokenExpected: true };
        const tokens = await authorizationCodeGrant(configuration, answer, checks);
        const claims = tokens.claims();
        if (claims === undefined) throw new AppError("auth/oidc", "the OpenID provider has sent no id token");
        const isMore = configuration.serverMetadata().userinfo_endpoint !== undefined;
        const more = isMore ? await fetchUserInfo(configuration, tokens.access_token, claims.sub) : {};
        return { ...more, ...claims };
      } catch (error) {
        throw toAppError(issuer, error);
      }
    },
  };
}

/** As the provider says that clients show their secret; `client_secret_basic` when it does not say. */
function clientAuth(secret: string): ClientAuth {
  const [basic, post] = [ClientSecretBasic(secret), ClientSecretPost(secret)];
  return (server, client, body, headers) => {
    const { token_endpoint_auth_methods_supported: methods = ["client_secret_basic"] } = server;
    (methods.includes("client_secret_basic") ? basic : post)(server, client, body, headers);
  };
}

function toAppError(issuer: URL, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof AuthorizationResponseError) return refused(`the OpenID provider says ${whatFailed(error)}`);
  if (error instanceof ResponseBodyError) {
    if (error.error === "invalid_grant")
      return refused("the OpenID provider does not accept the code: it was used already, has expired, or is of another login");
    return away(issuer, whatFailed(error));
  }
  const isAway =
    error instanceof WWWAuthenticateChallengeError ||
    (error instanceof TypeError && !("code" in error)) ||
    (error instanceof ClientError && AWAY_CODES.includes(error.code ?? ""));
  return isAway ? away(issuer, whatFailed(error)) : refused(`the answer of the OpenID provider does not fit: ${whatFailed(error)}`);
}

function refused(message: string): AppError {
  return new AppError("auth/oidc", message, { hint: "begin the login again" });
}

function away({ href }: URL, why: string): AppError {
  return new AppError("auth/provider", `the OpenID provider ${href} is of no help: ${why}`, {
    hint: "log in with a token, or try again later; an admin can check oidcIssuer, oidcClientId and the client's secret, and whether the master reaches the provider",
  });
}

/** In the words of the provider or of the library; never with what was sent. */
function whatFailed(thrown: unknown): string {
  const error = asError(thrown);
  if (error instanceof WWWAuthenticateChallengeError) return `it refuses the client of this master (${error.status})`;
  if (error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) {
    const { error: code, error_description: words } = error;
    return clean(words === undefined ? code : `${code}: ${words}`);
  }
  // `fetch failed` says nothing; its cause does.
  const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : undefined;
  return clean(cause === undefined ? error.message : cause.message || ((cause as NodeJS.ErrnoException).code ?? error.message));
}

function clean(text: string): string {
  return text.replaceAll(/\p{C}+/gu, " ").slice(0, MAX_WORDS);
}
