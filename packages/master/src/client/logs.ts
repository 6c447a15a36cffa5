/** The logs of executions over HTTP: a part with its place, and events as they come. A connection that breaks is `server/unreachable`. */
import { AppError, asError } from "fleetcron-shared/base/errors";
import type { LogEventData } from "../http/log-schema.ts";
import { eventError, type Query, type Rest } from "./rest.ts";

export type LogPart = {
  readonly attempt: number;
  /** `bytes` are those of [offset, next) of what the process has written. */
  readonly offset: number;
  readonly next: number;
  readonly size: number;
  /** Asked for, but not kept, right before `offset`. */
  readonly skipped: number;
  readonly bytes: Buffer;
};

export type LogEvent = LogEventData & {
  readonly type: "begin" | "log" | "skipped" | "end";
  readonly id: string | undefined;
  readonly bytes: Buffer;
};
export type LogEvents = AsyncGenerator<LogEvent, void>;

export async function fetchLog(rest: Rest, path: string, query: Query): Promise<LogPart> {
  const response = await rest.open(path, { query });
  const number = (name: string) => Number(response.headers.get(`x-fleetcron-${name}`));
  const bytes = Buffer.from(
    await response.bytes().catch((thrown: unknown): never => {
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

/** Ends after the event `end`; throws what the master reports, and `server/unreachable` when the connection ends before. */
export async function* followLog(rest: Rest, path: string, query: Query, lastId: string | undefined, signal: AbortSignal): LogEvents {
  const response = await rest.open(path, {
    query,
    signal,
    headers: { accept: "text/event-stream", ...(lastId === undefined ? {} : { "last-event-id": lastId }) },
  });
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const event = parseEvent(rest, text.slice(0, end));
        text = text.slice(end + 2);
        if (event !== undefined) yield event;
        if (event?.type === "end") return;
      }
    }
  } catch (thrown) {
    throw thrown instanceof AppError ? thrown : broken(rest, thrown);
  }
  throw broken(rest, new Error("the connection was closed"));
}

/** Undefined for a sign of life and for events of a newer master. */
function parseEvent(rest: Rest, block: string): LogEvent | undefined {
  const fields = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
  const type = fields.get("event");
  const text = fields.get("data");
  if (text === undefined) return undefined;
  if (type === "error") throw eventError(rest.server, text);
  if (type !== "begin" && type !== "log" && type !== "skipped" && type !== "end") return undefined;
  const data = JSON.parse(text) as LogEventData;
  const bytes = data.base64 === undefined ? Buffer.from(data.text ?? "") : Buffer.from(data.base64, "base64");
  return { type, id: fields.get("id"), ...data, bytes };
}

function broken(rest: Rest, thrown: unknown): AppError {
  return new AppError("server/unreachable", `the connection to ${rest.server} broke: ${asError(thrown).message}`, { cause: thrown });
}
