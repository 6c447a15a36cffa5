/** Counts the requests of the app by the pattern of their route, and serves what was counted to those who have a token. */
import type { FastifyRequest } from "fastify";
import type { App } from "./app.ts";

/** What this folder needs of the master's metrics. */
export type HttpMetrics = {
  count(name: "fleetcron_master_http_requests_total", labels: Readonly<Record<string, string>>): void;
  observe(name: "fleetcron_master_http_request_seconds", seconds: number, labels: Readonly<Record<string, string>>): void;
  readonly contentType: string;
  text(): Promise<string>;
};

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** Before all routes. */
export function measureRequests(app: App, metrics: HttpMetrics): void {
  app.addHook("onResponse", async (request, reply) => {
    const method = METHODS.includes(request.method) ? request.method : "other";
    const route = request.routeOptions.url ?? "none";
    metrics.count("fleetcron_master_http_requests_total", { method, route, status: String(reply.statusCode) });
    const isStream = /\/(events|follow)$/.test(route);
    if (!isStream) metrics.observe("fleetcron_master_http_request_seconds", reply.elapsedTime / 1000, { method, route });
  });
}

/** `identify` throws for who has no token. */
export function addMetricsRoute(app: App, metrics: HttpMetrics, identify: (request: FastifyRequest) => Promise<unknown>): void {
  app.get("/metrics", async (request, reply) => {
    await identify(request);
    const text = await metrics.text();
    return reply.header("cache-control", "no-store").type(metrics.contentType).serializer(String).send(text);
  });
}
