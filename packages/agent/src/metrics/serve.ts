/** `/metrics` and `/healthz` of the agent over plain HTTP, only where `metrics` is configured. It takes nothing in, and tells nothing of single jobs. */
import { once } from "node:events";
import { createServer } from "node:http";
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { Metrics } from "fleetcron-shared/metrics/registry";
import type { AgentMetric } from "./table.ts";

export type MetricsServer = { readonly port: number; close(): Promise<void> };

/** `health`: what stands in the way of the agent's work; empty: nothing. Throws `config/port-in-use` or `config/invalid`. */
export async function serveMetrics(
  address: { readonly host: string; readonly port: number },
  metrics: Metrics<AgentMetric>,
  health: () => readonly string[],
): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 10_000, connectionsCheckingInterval: 2000 },
    (request, response) => {
      const send = (status: number, type: string, text: string) => {
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
        response.end(request.method === "HEAD" ? undefined : text);
      };
      const [path] = (request.url ?? "").split("?");
      request.resume();
      if (request.method !== "GET" && request.method !== "HEAD") return send(405, "text/plain", "only GET is answered here\n");
      if (path === "/metrics") {
        metrics.text().then(
          (text) => send(200, metrics.contentType, text),
          () => send(500, "text/plain", "the metrics cannot be read\n"),
        );
        return;
      }
      if (path === "/healthz") {
        const reasons = health();
        return send(
          reasons.length === 0 ? 200 : 503,
          "application/json",
          JSON.stringify({ status: reasons.length === 0 ? "ok" : "unavailable", reasons }),
        );
      }
      send(404, "text/plain", "there are /metrics and /healthz\n");
    },
  );
  server.maxConnections = 100;
  try {
    server.listen(address.port, address.host);
    await once(server, "listening");
  } catch (thrown) {
    const cause = asError(thrown) as NodeJS.ErrnoException;
    const at = `${address.host}:${address.port}`;
    const why = cause.code === "EADDRINUSE" ? "is taken by another program" : `cannot be listened on: ${cause.message}`;
    throw new AppError(cause.code === "EADDRINUSE" ? "config/port-in-use" : "config/invalid", `${at} (metrics) ${why}`, {
      cause,
      hint: "choose another address with --metrics",
    });
  }
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : address.port,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
