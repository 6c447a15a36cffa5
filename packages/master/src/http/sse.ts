/** Server-sent events on a connection: how a stream begins, how it waits for its reader, and signs of life. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { Clock } from "fleetcron-shared/base/clock";

/** Proxies end connections on which nothing comes. */
const HEARTBEAT_MS = 10_000;

/** The headers go out; from here on the connection is ours. */
export function beginStream(reply: FastifyReply): ServerResponse {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no" });
  raw.flushHeaders();
  return raw;
}

/** Resolves when the reader is ready for more, or gone. */
export async function send(raw: ServerResponse, text: string): Promise<void> {
  if (raw.destroyed || raw.write(text)) return;
  const over = new AbortController();
  const close = once(raw, "close", { signal: over.signal }).catch(() => {});
  await Promise.race([once(raw, "drain", { signal: over.signal }).catch(() => {}), close]);
  over.abort();
}

/** Writes a comment every so often, and calls `also`; the returned function ends that. Nothing is added for a reader that does not read. */
export function beat(deps: { clock: Clock }, raw: ServerResponse, also: () => void = () => {}): () => void {
  let cancel = () => {};
  const next = () => {
    if (!raw.writableNeedDrain) raw.write(": alive\n\n");
    cancel = deps.clock.after(HEARTBEAT_MS, next);
    also();
  };
  cancel = deps.clock.after(HEARTBEAT_MS, next);
  return () => cancel();
}
