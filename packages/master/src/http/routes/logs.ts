/**
 * The output of executions: a part of it as it is, with headers that say where it stands, and all that comes as server-sent events. The id of an event is
 * `ATTEMPT:OFFSET` behind it, so a reader that is cut off goes on with `Last-Event-ID`, at this master or another.
 */
import { isUtf8 } from "node:buffer";
import { asAppError } from "fleetcron-shared/base/errors";
import { followLog, type LogEvent } from "../../ops/follow-log.ts";
import type { OpsDeps } from "../../ops/ops-deps.ts";
import { readLog } from "../../ops/read-log.ts";
import { searchLog } from "../../ops/search-log.ts";
import * as Api from "../api-schema.ts";
import { type App, callerOf } from "../app.ts";
import * as Logs from "../log-schema.ts";
import { problemOf } from "../problem.ts";
import { beat, beginStream, send } from "../sse.ts";

export function addLogRoutes(app: App, deps: OpsDeps): void {
  app.get("/executions/:execution/log", { schema: { params: Api.ExecutionParams, querystring: Logs.LogQuery } }, async (request, reply) => {
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort());
    const part = await readLog(deps, { ...request.params, ...request.query }, callerOf(request), gone.signal);
    void reply.headers({
      "content-type": isUtf8(part.bytes) ? "text/plain; charset=utf-8" : "application/octet-stream",
      "cache-control": "no-store",
      "x-fleetcron-attempt": part.attempt,
      "x-fleetcron-offset": part.offset,
      "x-fleetcron-next": part.next,
      "x-fleetcron-size": part.size,
      "x-fleetcron-skipped": part.skipped,
      "x-fleetcron-source": part.source,
    });
    return reply.send(part.bytes);
  });

  app.get(
    "/executions/:execution/log/search",
    { schema: { params: Api.ExecutionParams, querystring: Logs.LogSearchQuery, response: { 200: Logs.LogSearchResult } } },
    (request, reply) => {
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const { direction, ...query } = request.query;
      return searchLog(deps, { ...request.params, ...query, up: direction === "up" }, callerOf(request), gone.signal);
    },
  );

  app.get(
    "/executions/:execution/log/follow",
    { exposeHeadRoute: false, schema: { params: Api.ExecutionParams, querystring: Logs.LogFollowQuery, headers: Logs.LastEventIdHeaders } },
    async (request, reply) => {
      const [attempt, offset] = request.headers["last-event-id"]?.split(":").map(Number) ?? [];
      const after = attempt === undefined || offset === undefined ? undefined : { attempt, offset };
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const events = followLog(deps, { ...request.params, ...request.query, after }, callerOf(request), gone.signal);
      // What cannot begin is refused like any request; later failures are events.
      const first = await events.next();
      const raw = beginStream(reply);
      const stopBeating = beat(deps, raw);
      try {
        if (first.done !== true) await send(raw, eventText(first.value));
        for await (const event of events) await send(raw, eventText(event));
      } catch (thrown) {
        await send(raw, `event: error\ndata: ${JSON.stringify(problemOf(asAppError(thrown)))}\n\n`);
      } finally {
        stopBeating();
        raw.end();
      }
    },
  );
}

function eventText(event: LogEvent): string {
  const { type, ...fields } = event;
  const data: Logs.LogEventData =
    event.type === "log"
      ? { attempt: event.attempt, from: event.from, to: event.to, size: event.size, ...textOf(event.bytes) }
      : event.type === "skipped"
        ? { attempt: event.attempt, to: event.to, skipped: event.bytes, why: event.why }
        : (fields as Logs.LogEventData);
  const id = event.type === "log" || event.type === "skipped" ? `id: ${event.attempt}:${event.to}\n` : "";
  return `${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function textOf(bytes: Buffer): { text: string } | { base64: string } {
  return isUtf8(bytes) ? { text: bytes.toString("utf8") } : { base64: bytes.toString("base64") };
}
