/**
 * /events: live changes as server-sent events, from memory alone. The id of an event is a place that holds at every master, so a reader that is cut off goes
 * on with `Last-Event-ID`; where changes may have been missed an event `reset` comes. A reader that does not read is disconnected.
 */
import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import type { FeedEntry, FeedPlace } from "../../ops/event-feed.ts";
import type { Events } from "../../ops/events.ts";
import type { App } from "../app.ts";
import { type EventData, EventHeaders, EventQuery, type EventStart } from "../event-schema.ts";
import type { Identity } from "../may-read.ts";
import { mayRead } from "../may-read.ts";
import { problemOf } from "../problem.ts";
import { beat, beginStream, send } from "../sse.ts";

export type EventRouteDeps = {
  readonly clock: Clock;
  readonly events: Events;
  readonly master: () => string;
  readonly etcdRevision: () => Promise<number | undefined>;
  /** Who asks, as of now; throws when the token is no more. */
  readonly identify: (request: FastifyRequest) => Promise<Identity>;
  readonly maxReaders: number;
};

/** A reader that takes nothing for so long is disconnected. */
const STALLED_MS = 30_000;
/** Texts of the newest events are kept for the other readers. */
const KEPT_TEXTS = 256;

/** Returns how many follow now. */
export function addEventRoute(app: App, deps: EventRouteDeps): { readers(): number } {
  let readers = 0;
  const texts = new Map<number, string>();

  function textOf(entry: FeedEntry): string {
    const known = texts.get(entry.seq);
    if (known !== undefined) return known;
    const { key, group, revision } = entry;
    const value = entry.value();
    const data: EventData = { key, ...(group === undefined ? {} : { group }), revision, ...(value === undefined ? {} : { value }) };
    const text = `event: ${entry.kind}\ndata: ${JSON.stringify(data)}\n\n`;
    if (texts.size >= KEPT_TEXTS) texts.clear();
    texts.set(entry.seq, text);
    return text;
  }

  app.get("/events", { exposeHeadRoute: false, schema: { querystring: EventQuery, headers: EventHeaders } }, async (request, reply) => {
    const feed = deps.events.feed();
    if (feed === undefined) throw new AppError("server/not-ready", "the master has not yet read its state from etcd");
    if (readers >= deps.maxReaders) {
      throw new AppError("server/too-many", `${deps.maxReaders} readers follow the events of this master already`, {
        hint: "close some, ask another master, or raise `eventReaders` in the master's configuration",
      });
    }
    readers += 1;
    const gone = new AbortController();
    let wake = () => {};
    reply.raw.once("close", () => {
      gone.abort();
      wake();
    });
    let stop = () => {};
    try {
      const wanted = filterOf(request.query);
      let identity = await deps.identify(request);
      const cluster = createHash("sha256").update(deps.events.clusterId()).digest("hex").slice(0, 8);
      const since = request.headers["last-event-id"] ?? request.query.since;
      const known = since === undefined ? undefined : await placeAfter(deps, feed, cluster, since);
      const place = known ?? feed.here();
      const idOf = ({ positions }: FeedPlace) => `id: ${cluster}.${positions.join(".")}\n`;
      const begin = (): string => {
        const data: EventStart = { master: deps.master(), revision: Math.min(...place.positions) };
        return `data: ${JSON.stringify(data)}\n\n`;
      };
      const raw = beginStream(reply);
      let takenMs = deps.clock.mono();
      let failure: { error: unknown } | undefined;
      const unsubscribe = feed.onChange(() => wake());
      const stopBeating = beat(deps, raw, () => {
        if (raw.writableNeedDrain && deps.clock.mono() - takenMs > STALLED_MS) raw.destroy();
        // The token may have been revoked, or its groups changed, since.
        deps.identify(request).then(
          (found) => {
            identity = found;
          },
          (error: unknown) => {
            failure = { error };
            wake();
          },
        );
      });
      stop = () => {
        unsubscribe();
        stopBeating();
        raw.end();
      };
      const take = async (text: string) => {
        await send(raw, text);
        takenMs = deps.clock.mono();
      };
      if (since === undefined || known !== undefined) await take(`${idOf(place)}event: begin\n${begin()}`);
      else await take(`${idOf(place)}event: reset\n${begin()}`);
      while (!gone.signal.aborted && !feed.isOver()) {
        if (failure !== undefined) throw failure.error;
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const entry = feed.next(place);
        if (entry === "lost") {
          Object.assign(place, feed.here());
          await take(`${idOf(place)}event: reset\n${begin()}`);
        } else if (entry !== undefined) {
          if (wanted(entry) && mayRead(identity, entry)) await take(idOf(place) + textOf(entry));
        } else {
          await woken;
        }
      }
    } catch (thrown) {
      if (!reply.raw.headersSent) throw thrown;
      await send(reply.raw, `event: error\ndata: ${JSON.stringify(problemOf(asAppError(thrown)))}\n\n`);
    } finally {
      readers -= 1;
      stop();
    }
  });
  return { readers: () => readers };
}

/** Behind what `since` (a revision, or the id of an event) has seen; undefined when that is not known here. */
async function placeAfter(
  deps: Pick<EventRouteDeps, "etcdRevision">,
  feed: { after(positions: readonly number[]): FeedPlace | undefined },
  cluster: string,
  since: string,
): Promise<FeedPlace | undefined> {
  const [id = "", ...rest] = since.split(".");
  const positions = (rest.length === 0 ? [id] : rest).map(Number);
  if (rest.length > 0 && id !== cluster) return undefined;
  // Revisions that are still to come are of an etcd that was put back to an earlier state.
  const revision = await deps.etcdRevision();
  return revision === undefined || positions.some((position) => position > revision) ? undefined : feed.after(positions);
}

function filterOf(query: { kind?: string | string[] | undefined; group?: string | string[] | undefined }): (entry: FeedEntry) => boolean {
  const kinds = query.kind === undefined ? undefined : new Set([query.kind].flat());
  const groups = query.group === undefined ? undefined : new Set([query.group].flat());
  return ({ kind, group }) =>
    (kinds === undefined || kinds.has(kind)) && (groups === undefined || (group !== undefined && groups.has(group)));
}
