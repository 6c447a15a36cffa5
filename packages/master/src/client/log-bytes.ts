/** The logs of executions over HTTP, for programs and browsers: a part with its place, and events as they come. A connection that breaks is `server/unreachable`. */
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { LogEventData, LogFollowQuery, LogPart, LogQuery, LogSearchQuery, LogSearchResult } from "../http/log-schema.ts";
import { eventError, type Query, type Rest } from "./rest.ts";
import { readServerEvents } from "./server-events.ts";

export type LogBytes = Omit<LogPart, "bytes"> & { readonly bytes: Uint8Array };
export type LogBytesEvent = LogEventData & {
  readonly type: "begin" | "log" | "skipped" | "end";
  readonly id: string | undefined;
  readonly bytes: Uint8Array;
};

/** A node reads some hundred megabytes a second. */
const SEARCH_MS = 120_000;

const path = (execution: string) => `/api/v1/executions/${encodeURIComponent(execution)}/log`;

export async function fetchLogBytes(rest: Rest, execution: string, query: LogQuery, signal?: AbortSignal): Promise<LogBytes> {
  const response = await rest.open(path(execution), { query: query as Query, ...(signal === undefined ? {} : { signal }) });
  const number = (name: string) => Number(response.headers.get(`x-fleetcron-${name}`));
  const bytes = new Uint8Array(
    await response.arrayBuffer().catch((thrown: unknown): never => {
      throw broken(rest, thrown);
    }),
  );
  return {
    attempt: number("attempt"),
    offset: number("offset"),
    next: number("next"),
    size: number("size"),
    skipped: number("skipped"),
    bytes,
  };
}

export async function searchLog(rest: Rest, execution: string, query: LogSearchQuery, signal?: AbortSignal): Promise<LogSearchResult> {
  const abort = signal === undefined ? {} : { signal };
  const response = await rest.open(`${path(execution)}/search`, { query: query as Query, timeoutMs: SEARCH_MS, ...abort });
  return (await response.json()) as LogSearchResult;
}

/** `lastId`: of the last event that was seen. Ends after the event `end`; throws what the master reports, and `server/unreachable` when the connection ends before. */
export async function* followLogBytes(
  rest: Rest,
  execution: string,
  query: LogFollowQuery,
  lastId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<LogBytesEvent, void> {
  const response = await rest.open(`${path(execution)}/follow`, {
    query: query as Query,
    signal,
    headers: { accept: "text/event-stream", ...(lastId === undefined ? {} : { "last-event-id": lastId }) },
  });
  try {
    for await (const { type, id, data: text } of readServerEvents(response)) {
      if (type === "error") throw eventError(rest.server, text);
      // Others are of a newer master.
      if (type !== "begin" && type !== "log" && type !== "skipped" && type !== "end") continue;
      const data = JSON.parse(text) as LogEventData;
      yield { type, id, ...data, bytes: bytesOf(data) };
      if (type === "end") return;
    }
  } catch (thrown) {
    throw thrown instanceof AppError ? thrown : broken(rest, thrown);
  }
  throw broken(rest, new Error("the connection was closed"));
}

function bytesOf({ text, base64 }: LogEventData): Uint8Array {
  if (base64 === undefined) return new TextEncoder().encode(text ?? "");
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

function broken(rest: Rest, thrown: unknown): AppError {
  return new AppError("server/unreachable", `the connection to ${rest.server} broke: ${asError(thrown).message}`, { cause: thrown });
}
