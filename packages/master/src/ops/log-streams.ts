/**
 * Asks an agent to show a log and reads what it puts into etcd: one order, one prefix of chunks. The order lives under the master's session, so
 * nothing is shown for a master that is gone; who stops reading takes it back. Whatever breaks a stream (etcd, a new agent process, a reader that is
 * too slow for what comes) ends it as `interrupted`, and the caller asks again from where it is.
 */
import { type Clock, toIso } from "fleetcron-shared/base/clock";
import { AppError, asError, isCode } from "fleetcron-shared/base/errors";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { LogChunk, LogOrder } from "fleetcron-shared/model/facts";
import type { MirrorDeps } from "fleetcron-shared/store/mirror";
import { openMirror } from "fleetcron-shared/store/mirror";
import type { Session } from "fleetcron-shared/store/session";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Views } from "../views.ts";

/** An agent that is alive begins to show within this time. */
const ANSWER_MS = 10_000;
/** So much may wait for a slow reader. */
const WAITING_BYTES = 4 * 2 ** 20;

export type LogWish = Omit<LogOrder, "v" | "type" | "id" | "orderedAt">;

/** The stream broke off in the middle; another one may go on where it stopped. */
export class Interrupted extends Error {}

export type LogStreams = {
  /**
   * The chunks in order, up to the one with `end`. Throws `node/not-online`, `log/no-answer`, `etcd/…`, `server/not-ready` when this master stops, and
   * `Interrupted`. Ends without a chunk with `end` when `signal` aborts.
   */
  open(node: string, wish: LogWish, signal: AbortSignal): AsyncGenerator<LogChunk, void>;
  /** Ends all streams. */
  close(): void;
};

type Deps = MirrorDeps & {
  readonly clock: Clock;
  readonly keys: Keys;
  readonly newId: IdSource;
  readonly views: Pick<Views, "alive">;
  readonly session: Pick<Session, "trusted" | "onChange">;
};

export function openLogStreams(deps: Deps): LogStreams {
  const closing = new AbortController();
  return {
    open: (node, wish, signal) => stream(deps, node, wish, AbortSignal.any([signal, closing.signal]), closing.signal),
    close: () => closing.abort(),
  };
}

async function* stream(deps: Deps, node: string, wish: LogWish, signal: AbortSignal, closing: AbortSignal): AsyncGenerator<LogChunk, void> {
  const { kv, keys, clock, views } = deps;
  const order: LogOrder = { v: 1, type: "log", id: deps.newId(), ...wish, orderedAt: toIso(clock.now()) };
  const orderKey = keys.order(node, order.id);
  const agent = views.alive.get(keys.alive(node))?.instance;
  if (agent === undefined) throw offline(node);
  const { lease } = await deps.session.trusted(signal);

  const inbox = createInbox();
  const interrupt = () => inbox.fail(new Interrupted());
  const chunks = openMirror(deps, {
    prefix: keys.logOf(order.execution, order.id),
    onEvents(events) {
      for (const event of events) {
        const chunk = event.type === "put" ? tryDecode<LogChunk>(event.kv.key, event.kv.value) : undefined;
        if (chunk !== undefined) inbox.add(chunk, event.type === "put" ? event.kv.value.length : 0);
      }
    },
  });
  chunks.synced.catch(() => {});
  const undo = [
    deps.session.onChange(interrupt),
    views.alive.onChange(() => {
      const now = views.alive.get(keys.alive(node))?.instance;
      if (now !== agent) inbox.fail(now === undefined ? offline(node) : new Interrupted());
    }),
    clock.after(ANSWER_MS, () => {
      if (inbox.count === 0) inbox.fail(noAnswer(node));
    }),
  ];
  const onAbort = () => inbox.fail(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await kv.txn({ then: [{ op: "put", key: orderKey, value: encode(order), lease }] }).catch((thrown: unknown) => {
      if (isCode(thrown, "etcd/lease-gone", "etcd/unknown-outcome")) throw new Interrupted();
      throw thrown;
    });
    for (;;) {
      const chunk = await inbox.next();
      if (chunk === undefined) break;
      yield chunk;
      if (chunk.end !== undefined) return;
    }
    if (closing.aborted) throw new AppError("server/not-ready", "this master is stopping", { hint: "ask again: another one may answer" });
  } finally {
    signal.removeEventListener("abort", onAbort);
    for (const fn of undo) fn();
    void chunks.close();
    kv.txn({ then: [{ op: "delete", key: orderKey }] }).catch((thrown: unknown) =>
      deps.log.debug({ order: order.id, error: asError(thrown).message }, "a log order goes with the session"),
    );
  }
}

/** What has come and was not read yet; then, once, how it ended. */
function createInbox() {
  const waiting: { chunk: LogChunk; bytes: number }[] = [];
  let bytes = 0;
  let count = 0;
  let end: { error: Error | undefined } | undefined;
  let wake = () => {};
  return {
    /** How many chunks have come. */
    get count() {
      return count;
    },
    add(chunk: LogChunk, size: number) {
      if (end !== undefined) return;
      count++;
      waiting.push({ chunk, bytes: size });
      bytes += size;
      if (bytes > WAITING_BYTES) end = { error: new Interrupted() };
      wake();
    },
    fail(error: Error | undefined) {
      end ??= { error };
      wake();
    },
    async next(): Promise<LogChunk | undefined> {
      for (;;) {
        const first = waiting.shift();
        if (first !== undefined) {
          bytes -= first.bytes;
          return first.chunk;
        }
        if (end?.error !== undefined) throw end.error;
        if (end !== undefined) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function offline(node: string): AppError {
  return new AppError("node/not-online", `the log is on node ${node}, and its agent is not online`, {
    hint: "the log can be read again when the agent is back; `fleetcron run show` has the end of the output of what has ended",
  });
}

function noAnswer(node: string): AppError {
  return new AppError("log/no-answer", `the agent of node ${node} is online, but does not show the log within ${ANSWER_MS / 1000} s`, {
    hint: `see \`fleetcron node show ${node}\` and the agent's own log; agents before version 0.2 cannot show logs`,
  });
}
