/** Puts the API together and listens. */
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { OpsDeps } from "../ops/ops-deps.ts";
import type { Hooks } from "../ops/receive-hook.ts";
import { API_BASE } from "./api-schema.ts";
import { type App, createApp } from "./app.ts";
import { authenticate } from "./auth.ts";
import { addChannelRoutes } from "./routes/channels.ts";
import { addGlobalRoutes } from "./routes/globals.ts";
import { addHookRoutes } from "./routes/hooks.ts";
import { addJobRoutes } from "./routes/jobs.ts";
import { addLogRoutes } from "./routes/logs.ts";
import { addNodeRoutes } from "./routes/nodes.ts";
import { addPipelineRoutes, addTaskStatusRoute } from "./routes/pipelines.ts";
import { addRunRoutes } from "./routes/runs.ts";
import { addSecretRoutes } from "./routes/secrets.ts";
import { addHealthRoutes, addInfoRoute, type SystemDeps } from "./routes/system.ts";

export function createServer(deps: { log: Log; ops: OpsDeps; system: SystemDeps; hooks: Hooks }): App {
  const app = createApp(deps);
  addHealthRoutes(app, deps.system);
  void app.register(
    (api: App, _options, done) => {
      addTaskStatusRoute(api, deps.ops);
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
      api.addHook("onRequest", async (request) => {
        request.token = authenticate(deps.ops.views.tokens, request);
      });
      addInfoRoute(api, deps.system);
      addJobRoutes(api, deps.ops);
      addNodeRoutes(api, deps.ops);
      addRunRoutes(api, deps.ops);
      addLogRoutes(api, deps.ops);
      addSecretRoutes(api, deps.ops);
      addGlobalRoutes(api, deps.ops);
      addChannelRoutes(api, deps.ops);
      addPipelineRoutes(api, deps.ops);
      done();
    },
    { prefix: API_BASE },
  );
  return app;
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
