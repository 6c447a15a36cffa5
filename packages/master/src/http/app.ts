/** The HTTP application without its routes: limits, validation by zod, plain JSON out, errors as problems. */

import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { FastifyBaseLogger } from "fastify";
import fastify, { type FastifyInstance, type FastifyRequest, type RawServerDefault } from "fastify";
import { validatorCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import type { Log } from "fleetcron-shared/base/log";
import type { Caller } from "../caller.ts";
import { createErrorHandler, notFound, refuseConnection, sendProblem } from "./problem.ts";
import type { TlsPems } from "./tls.ts";

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

const BODY_LIMIT = 2 ** 20;
const REQUEST_TIMEOUT_MS = 120_000;
/** Heads of requests are small: who takes longer only holds connections. */
const HEADERS_TIMEOUT_MS = 15_000;
/** How often node looks for connections that took too long. */
const connectionsCheckingInterval = 5000;

/** `tls`: speak HTTPS with these. */
export function createApp(deps: { log: Log; tls?: TlsPems | undefined }): App {
  const { tls } = deps;
  // For the types a TLS server is a plain one: all that differs is `setSecureContext`.
  const serverFactory =
    tls === undefined
      ? undefined
      : (handler: RequestListener) => createTlsServer({ ...tls, connectionsCheckingInterval }, handler) as unknown as Server;
  const app = fastify({
    ...(serverFactory === undefined ? {} : { serverFactory }),
    http: { connectionsCheckingInterval },
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 300 },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, request, reply) => void createErrorHandler(deps)(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  app.server.requestTimeout = REQUEST_TIMEOUT_MS;
  app.setValidatorCompiler(validatorCompiler);
  // Answers are made of typed values: they need no second check, and unknown fields of newer agents pass.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler(createErrorHandler(deps));
  app.setNotFoundHandler((request, reply) => sendProblem(reply, notFound(request)));
  app.removeContentTypeParser("text/plain");
  app.decorateRequest("caller", null);
  return app;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks (http/access.ts); null on public routes. */
    caller: Caller | null;
  }
}

/** Who asks, for orders, decisions and drains: the name of the token or the user. */
export function callerOf(request: FastifyRequest): string {
  return request.caller?.name ?? "unknown";
}
