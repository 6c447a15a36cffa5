/** So many requests a minute for each caller, whatever they ask; more are refused with the time to come again. Counted at each master by itself. */
import rateLimit from "@fastify/rate-limit";
import { AppError } from "fleetcron-shared/base/errors";
import type { App } from "./app.ts";

/** `app`: a scope with authentication, before its routes. Who has no token is its address. */
export function addRateLimit(app: App, requestsPerMinute: number): void {
  if (requestsPerMinute === 0) return;
  void app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    cache: 10_000,
    keyGenerator: (request) => (request.caller === null ? `address ${request.ip}` : `caller ${request.caller.name}`),
    errorResponseBuilder: (_request, { ttl }) =>
      new AppError("server/too-many", `more than ${requestsPerMinute} requests within a minute; come again in ${Math.ceil(ttl / 1000)} s`, {
        hint: "ask less often (GET /api/v1/events tells of changes), or raise `rateLimit` in the master's configuration",
      }),
  });
}
