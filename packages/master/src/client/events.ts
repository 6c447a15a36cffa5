/** Live changes over HTTP (`/events`): what the master tells, as it comes. A connection that breaks is `server/unreachable`. */
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { EventData, EventKind, EventQuery, EventStart } from "../http/event-schema.ts";
import { eventError, type Query, type Rest } from "./rest.ts";
import { readServerEvents } from "./server-events.ts";

/** `begin` and `reset` come first and wherever changes may have been missed; all others are changes. */
export type LiveEvent =
  | { readonly type: "begin" | "reset"; readonly id: string | undefined; readonly start: EventStart }
  | { readonly type: EventKind; readonly id: string | undefined; readonly data: EventData };
export type LiveEvents = AsyncGenerator<LiveEvent, void>;

/** `lastId`: of the last event that was seen, to go on behind it. Never ends by itself. */
export async function* followEvents(
  rest: Rest,
  path: string,
  query: EventQuery,
  lastId: string | undefined,
  signal: AbortSignal,
): LiveEvents {
  const response = await rest.open(path, {
    query: query as Query,
    signal,
    headers: { accept: "text/event-stream", ...(lastId === undefined ? {} : { "last-event-id": lastId }) },
  });
  try {
    for await (const { type, id, data } of readServerEvents(response)) {
      if (type === "error") throw eventError(rest.server, data);
      if (type === "begin" || type === "reset") yield { type, id, start: JSON.parse(data) as EventStart };
      else yield { type: type as EventKind, id, data: JSON.parse(data) as EventData };
    }
  } catch (thrown) {
    throw thrown instanceof AppError ? thrown : broken(rest, thrown);
  }
  throw broken(rest, new Error("the connection was closed"));
}

function broken(rest: Rest, thrown: unknown): AppError {
  return new AppError("server/unreachable", `the connection to ${rest.server} broke: ${asError(thrown).message}`, { cause: thrown });
}
