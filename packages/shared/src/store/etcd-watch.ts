/**
 * One watch on one raw stream: joins fragments, hands out whole revisions, and ends at the first doubt. It never heals by itself.
 * The header's revision of a message is the store's, not the watch's, so only events and empty progress messages tell where we are.
 */
import { toWatchEvent, type WireEvent, type WireWatchResponse } from "./etcd-wire.ts";
import type { Revision, WatchEnd, WatchHandlers } from "./kv.ts";

export type WatchQuery = { readonly start: string; readonly end: string; readonly fromRevision: Revision; readonly clusterId?: string };

/** The duplex stream, as far as we use it. */
export type WatchStream = {
  write(request: object): unknown;
  cancel(): void;
  on(event: "data", listener: (message: WireWatchResponse) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
};

/** Feeds `handlers` from `stream` until the watch ends; the returned function ends it with the given reason. The stream's `error` event is the caller's. */
export function runWatch(stream: WatchStream, query: WatchQuery, handlers: WatchHandlers): (end: WatchEnd) => void {
  let over = false;
  let fragments: WireEvent[] = [];

  function finish(end: WatchEnd): void {
    if (over) return;
    over = true;
    stream.cancel();
    handlers.onEnd(end);
  }

  function receive(message: WireWatchResponse): void {
    if (over) return;
    const doubt = message.canceled ? cancelEnd(message) : foreignEnd(message, query);
    if (doubt) finish(doubt);
    else if (message.created) handlers.onStarted?.();
    else if (message.fragment) fragments.push(...message.events);
    else deliver(message);
  }

  function deliver(message: WireWatchResponse): void {
    const events = (fragments.length === 0 ? message.events : fragments.concat(message.events)).map(toWatchEvent);
    fragments = [];
    const last = events.at(-1);
    if (last === undefined) handlers.onProgress?.(Number(message.header.revision));
    else handlers.onEvents(events, last.type === "put" ? last.kv.modRevision : last.modRevision);
  }

  stream.on("data", receive);
  stream.on("end", () => finish({ reason: "error", error: new Error("etcd ended the watch stream") }));
  stream.write({
    create_request: {
      key: Buffer.from(query.start),
      range_end: Buffer.from(query.end),
      start_revision: query.fromRevision,
      progress_notify: true,
      fragment: true,
    },
  });
  return finish;
}

function cancelEnd(message: WireWatchResponse): WatchEnd {
  const compacted = Number(message.compact_revision);
  if (compacted > 0) return { reason: "compacted", error: new Error(`the watched revision is compacted away (at ${compacted})`) };
  return { reason: "error", error: new Error(`etcd cancelled the watch: ${message.cancel_reason || "no reason given"}`) };
}

/** The end of a watch that is not on the store that it was meant for, or on one that was wiped or restored. */
function foreignEnd(message: WireWatchResponse, query: WatchQuery): WatchEnd | undefined {
  const { cluster_id: clusterId, revision } = message.header;
  if (query.clusterId !== undefined && clusterId !== query.clusterId) {
    return { reason: "otherCluster", error: new Error(`etcd is another cluster now (${clusterId} instead of ${query.clusterId})`) };
  }
  if (!message.created || Number(revision) >= query.fromRevision - 1) return undefined;
  return { reason: "otherCluster", error: new Error(`etcd's revision went back (${revision} < ${query.fromRevision - 1})`) };
}
