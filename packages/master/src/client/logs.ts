/** The logs of executions as programs on Node.js take them: log-bytes.ts with buffers. */
import type { LogEventData, LogFollowQuery, LogPart, LogQuery } from "../http/log-schema.ts";
import { fetchLogBytes, followLogBytes } from "./log-bytes.ts";
import type { Rest } from "./rest.ts";

export type LogEvent = LogEventData & {
  readonly type: "begin" | "log" | "skipped" | "end";
  readonly id: string | undefined;
  readonly bytes: Buffer;
};
export type LogEvents = AsyncGenerator<LogEvent, void>;

export async function fetchLog(rest: Rest, execution: string, query: LogQuery): Promise<LogPart> {
  const part = await fetchLogBytes(rest, execution, query);
  return { ...part, bytes: toBuffer(part.bytes) };
}

/** As followLogBytes. */
export async function* followLog(
  rest: Rest,
  execution: string,
  query: LogFollowQuery,
  lastId: string | undefined,
  signal: AbortSignal,
): LogEvents {
  for await (const event of followLogBytes(rest, execution, query, lastId, signal)) yield { ...event, bytes: toBuffer(event.bytes) };
}

function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
