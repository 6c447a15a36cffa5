/** Puts the API together and listens. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Server as TlsServer } from "node:https";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import { createAuthenticate } from "../access/authenticate.ts";
import { guardKv } from "../access/guarded-kv.ts";
import { createGuesses } from "../access/guesses.ts";
import { createLogins } from "../access/oidc-login.ts";
import { createOidcProvider } from "../access/oidc-provider.ts";
import type { OidcConfig } from "../access/oidc-setting.ts";
import { scopeViews } from "../access/scoped-views.ts";
import type { Asking } from "../caller.ts";
import type { Events } from "../ops/events.ts";
import { openOnce } from "../ops/once.ts";
import type { OpsDeps } from "../ops/ops-deps.ts";
import type { Hooks } from "../ops/receive-hook.ts";
import type { SessionTimes } from "../ops/sessions.ts";
import { addAccess, createAccess } from "./access.ts";
import { API_BASE } from "./api-schema.ts";
import { type App, createApp } from "./app.ts";
import { addConditions } from "./conditions.ts";
import { addIdempotency } from "./idempotency.ts";
import { addMetricsRoute, type HttpMetrics, measureRequests } from "./measure.ts";
import { addOpenApi, addOpenApiRoute } from "./openapi.ts";
import { addRateLimit } from "./rate-limit.ts";
import { addChannelRoutes } from "./routes/channels.ts";
import { addConsole } from "./routes/console.ts";
import { addEventRoute } from "./routes/events.ts";
import { addGlobalRoutes } from "./routes/globals.ts";
import { addHookRoutes } from "./routes/hooks.ts";
import { addJobRoutes } from "./routes/jobs.ts";
import { addLogRoutes } from "./routes/logs.ts";
import { addNodeRoutes } from "./routes/nodes.ts";
import { addOidcRoutes, OIDC_PATH, type Oidc } from "./routes/oidc.ts";
import { addPipelineRoutes, addTaskStatusRoute } from "./routes/pipelines.ts";
import { addRunRoutes } from "./routes/runs.ts";
import { addSecretRoutes } from "./routes/secrets.ts";
import { addSessionRoutes } from "./routes/session.ts";
import { addHealthRoutes, addInfoRoute, etcdRevision, type SystemDeps } from "./routes/system.ts";
import { addTimelineRoutes } from "./routes/timeline.ts";
import { addTokenRoutes } from "./routes/tokens.ts";
import { addVerifyRoute } from "./routes/verify.ts";
import { readTls, type TlsFiles } from "./tls.ts";

export type ServerDeps = {
  readonly log: Log;
  readonly ops: OpsDeps;
  readonly system: SystemDeps;
  readonly hooks: Hooks;
  readonly events: Events;
  readonly limits: ServerLimits;
  readonly metrics: HttpMetrics;
  /** Is told how to count the readers of events. */
  readonly onReaders: (count: () => number) => void;
  readonly access: AccessOptions;
  /** Told of each route as it is added. */
  readonly onRoute?: (method: string, url: string) => void;
};
export type AccessOptions = {
  readonly times: SessionTimes;
  readonly tls: TlsFiles | undefined;
  /** Where people reach the console; absent: as their browser says. */
  readonly publicUrl?: URL | undefined;
  /** The provider that people may log in through, with the secret of its client. */
  readonly oidc?: { readonly config: OidcConfig; readonly secret: string } | undefined;
};
export type ServerLimits = { readonly eventReaders: number; readonly requestsPerMinute: number };

export function createServer(deps: ServerDeps): App {
  const app = createApp({ log: deps.log, tls: deps.access.tls === undefined ? undefined : readTls(deps.access.tls) });
  const { ops, onRoute } = deps;
  app.addHook("onRoute", ({ method, url }) => {
    for (const one of [method].flat()) onRoute?.(one, url);
  });
  const current = new AsyncLocalStorage<Asking>();
  // What the routes work with: within the caller's groups, and with the audit log (access/guarded-kv.ts).
  const own: OpsDeps = {
    ...ops,
    kv: guardKv(ops, () => current.getStore()),
    views: scopeViews(ops.views, ops.keys, () => current.getStore()?.caller.groups),
    allPipelines: ops.views.pipelines,
    caller: () => current.getStore()?.caller,
  };
  const guesses = createGuesses(ops);
  const authenticate = createAuthenticate({ ...ops, tokens: ops.views.tokens, sessions: ops.views.sessions, guesses });
  const secure = deps.access.tls !== undefined;
  const cookieName = `${secure ? "__Host-" : ""}fleetcron-${deps.system.cluster.slice(-8).toLowerCase()}`;
  const access = createAccess({ authenticate, current, cookieName });
  const sessions = { ...ops, times: deps.access.times };
  const oidc = oidcOf(deps);
  const methods = { token: true, oidc: oidc === undefined ? null : { name: oidc.config.name, path: OIDC_PATH } } as const;
  const addOwnRoutes = (api: App) => {
    addIdempotency(api, openOnce(deps.ops));
    addInfoRoute(api, deps.system);
    addJobRoutes(api, own);
    addTimelineRoutes(api, own);
    addVerifyRoute(api, own);
    addNodeRoutes(api, own);
    addRunRoutes(api, own);
    addLogRoutes(api, own);
    addSecretRoutes(api, own);
    addGlobalRoutes(api, own);
    addChannelRoutes(api, own);
    addPipelineRoutes(api, own);
    const { readers } = addEventRoute(api, {
      clock: deps.ops.clock,
      events: deps.events,
      master: () => deps.system.master,
      etcdRevision: () => etcdRevision(deps.system),
      identify: async (request) => (request.caller === null ? { groups: [] } : authenticate.again(request.caller)),
      maxReaders: deps.limits.eventReaders,
    });
    deps.onReaders(readers);
    addTokenRoutes(api, own);
    const logins = { sessions, access, authenticate, guesses, cookieName, secure, methods };
    addSessionRoutes(api, logins);
    addOidcRoutes(api, { ...logins, oidc, log: deps.log, publicUrl: deps.access.publicUrl });
  };
  measureRequests(app, deps.metrics);
  addOpenApi(app, deps.system);
  // In scopes of their own, because what is registered here comes before.
  void app.register((open: App, _options, done) => {
    addHealthRoutes(open, { ...deps.system, clock: ops.clock });
    addOpenApiRoute(open, app);
    addMetricsRoute(open, deps.metrics, access.caller);
    done();
  });
  void app.register((page: App, _options, done) => {
    addConsole(page, deps).then(() => done(), done);
  });
  void app.register(
    (api: App, _options, done) => {
      addTaskStatusRoute(api, own, access);
      done();
    },
    { prefix: API_BASE },
  );
  void app.register(
    (api: App, _options, done) => {
      addHookRoutes(api, deps.hooks);
      done();
    },
    { prefix: API_BASE },
  );
  void app.register(
    (api: App, _options, done) => {
      addAccess(api, access);
      addRateLimit(api, deps.limits.requestsPerMinute);
      addConditions(api);
      // The limit is there for what is registered after it.
      void api.register((limited: App, _more, next) => {
        addOwnRoutes(limited);
        next();
      });
      done();
    },
    { prefix: API_BASE },
  );
  return app;
}

function oidcOf({ ops, log, access, system }: ServerDeps): Oidc | undefined {
  if (access.oidc === undefined) return undefined;
  const { config, secret } = access.oidc;
  const logins = createLogins(ops, { secret, cluster: system.cluster });
  return { config, provider: createOidcProvider({ clock: ops.clock, log }, config, secret), logins };
}

/** Takes a renewed certificate for new connections; throws `config/invalid` and goes on with the one before. */
export function reloadTls(app: App, files: TlsFiles): void {
  (app.server as unknown as TlsServer).setSecureContext(readTls(files));
}

/** Listens; throws `config/port-in-use` or `config/invalid`. Returns the port, which differs from the asked one when that was 0. */
export async function listen(app: App, address: { host: string; port: number }): Promise<number> {
  try {
    await app.listen(address);
  } catch (thrown) {
    const cause = asError(thrown) as NodeJS.ErrnoException;
    const at = `${address.host}:${address.port}`;
    if (cause.code === "EADDRINUSE") {
      throw new AppError("config/port-in-use", `${at} is taken by another program`, {
        cause,
        hint: "stop it, or choose another address with --listen",
      });
    }
    throw new AppError("config/invalid", `cannot listen on ${at}: ${cause.message}`, {
      cause,
      hint: "choose another address with --listen",
    });
  }
  const bound = app.server.address();
  return typeof bound === "object" && bound !== null ? bound.port : address.port;
}
