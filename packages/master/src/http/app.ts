/** The HTTP application without its routes: limits, validation by zod, plain JSON out, errors as problems. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger } from "fastify";
import fastify, { type FastifyInstance, type FastifyRequest, type RawServerDefault } from "fastify";
import { validatorCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import type { Log } from "fleetcron-shared/base/log";
import type { TokenInfo } from "fleetcron-shared/model/facts";
import { createErrorHandler, notFound, sendProblem } from "./problem.ts";

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

const BODY_LIMIT = 2 ** 20;
const REQUEST_TIMEOUT_MS = 120_000;

export function createApp(deps: { log: Log }): App {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 300 },
    frameworkErrors: (error, request, reply) => void createErrorHandler(deps)(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  // Answers are made of typed values: they need no second check, and unknown fields of newer agents pass.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler(createErrorHandler(deps));
  app.setNotFoundHandler((request, reply) => sendProblem(reply, notFound(request)));
  app.removeContentTypeParser("text/plain");
  app.decorateRequest("token", null);
  return app;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Set by the authentication of every route under /api/v1. */
    token: TokenInfo | null;
  }
}

/** Who asks, for orders and drains: the id of the token. */
export function callerOf(request: FastifyRequest): string {
  return request.token?.id ?? "unknown";
}
