/**
 * Follows the log of an execution to its end, over its attempts. Streams that break off are asked for again from where they stopped; an agent
 * that is away is waited for; an attempt whose log is gone is told from its record. Etcd away: waits for it like for the agent.
 */
import { AppError, isCode } from "fleetcron-shared/base/errors";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { unpackBytes } from "fleetcron-shared/wire/log-chunk";
import { awaitRecord, findLog, isWhole, type LogName, type LogPlace } from "./find-log.ts";
import { Interrupted } from "./log-streams.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { partOfRecord } from "./read-log.ts";

export type LogEvent =
  /** Somebody is there to show the log, although it may be empty as yet. */
  | { readonly type: "begin"; readonly attempt: number; readonly size: number }
  | {
      readonly type: "log";
      readonly attempt: number;
      readonly from: number;
      readonly to: number;
      readonly size: number;
      readonly bytes: Buffer;
    }
  /** Bytes before `to` that are not shown: cut out of a long log, or written faster than they may be shown. */
  | { readonly type: "skipped"; readonly attempt: number; readonly to: number; readonly bytes: number; readonly why: "cut" | "fast" }
  | { readonly type: "end"; readonly attempt: number; readonly size: number };

/** Where a reader is. */
export type LogPosition = { readonly attempt: number; readonly offset: number };

export type FollowQuery = LogName & {
  readonly after?: LogPosition | undefined;
  readonly from?: number | undefined;
  readonly tail?: number | undefined;
};

type FollowDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "logStreams">;

const EVERYTHING = 2 ** 40;
/** An agent that is restarted is away for a moment. */
const PATIENCE_MS = 20_000;
const RETRY_MS = 200;

/** Ends with the event `end`, or without when `signal` aborts. Throws `execution/not-found`, `node/not-online`, `log/no-answer`, `log/not-kept`. */
export async function* followLog(deps: FollowDeps, query: FollowQuery, by: string, signal: AbortSignal): AsyncGenerator<LogEvent, void> {
  const { clock } = deps;
  let at = query.after;
  let failingSince: number | undefined;
  while (!signal.aborted) {
    try {
      const name = { ...query, attempt: query.attempt ?? at?.attempt };
      const place = await findLog(deps, name);
      for await (const event of followOnce(deps, { ...query, after: at }, place, by, signal)) {
        failingSince = undefined;
        yield event;
        if (event.type === "end") return;
        if (event.type !== "begin") at = { attempt: event.attempt, offset: event.to };
      }
    } catch (thrown) {
      if (signal.aborted) return;
      const passes =
        thrown instanceof Interrupted || isCode(thrown, "etcd/unreachable") || (isCode(thrown, "node/not-online") && at !== undefined);
      failingSince ??= clock.mono();
      if (!passes) throw thrown;
      if (clock.mono() - failingSince > PATIENCE_MS) throw thrown instanceof Interrupted ? brokeOff(query.execution, thrown) : thrown;
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

/** One stream, or what a record tells; ends with the event `end`, or throws. */
async function* followOnce(
  deps: FollowDeps,
  query: FollowQuery,
  place: LogPlace,
  by: string,
  signal: AbortSignal,
): AsyncGenerator<LogEvent, void> {
  const { execution, after } = query;
  if (place.record !== undefined && isWhole(place.record)) {
    yield* toldByRecord(place.record, query);
    return yield* goOnBehind(deps, query, place.record, by, signal);
  }
  const attempt = place.attempt ?? after?.attempt;
  const wish = {
    ...{ execution, follow: true, single: query.attempt !== undefined, by },
    ...(attempt === undefined ? {} : { attempt }),
    ...(after !== undefined ? { from: after.offset } : query.tail !== undefined ? { tail: query.tail } : { from: query.from ?? 0 }),
  };
  let at: LogPosition | undefined = after;
  let hasBegun = false;
  for await (const chunk of deps.logStreams.open(place.node, wish, signal)) {
    if (!hasBegun) yield { type: "begin", attempt: chunk.attempt, size: chunk.size };
    hasBegun = true;
    const skipped = chunk.skipped?.bytes ?? 0;
    if (at?.attempt !== chunk.attempt) at = undefined;
    if (chunk.gone === true) {
      const record = place.record?.attempt === chunk.attempt ? place.record : await awaitRecord(deps, execution, chunk.attempt, place.job);
      yield* toldByRecord(record, { ...query, after: at });
    } else if (at !== undefined && chunk.from - skipped !== at.offset) {
      // A hole in what has come; an emptied log may begin anew.
      if (chunk.from - skipped > at.offset) throw new Interrupted();
    }
    if (skipped > 0) yield { type: "skipped", attempt: chunk.attempt, to: chunk.from, bytes: skipped, why: chunk.skipped?.why ?? "cut" };
    if (chunk.to > chunk.from) {
      yield { type: "log", attempt: chunk.attempt, from: chunk.from, to: chunk.to, size: chunk.size, bytes: unpackBytes(chunk) };
    }
    at = { attempt: chunk.attempt, offset: chunk.to };
    if (chunk.end === "ended") return yield { type: "end", attempt: chunk.attempt, size: chunk.size };
    if (chunk.end !== undefined)
      return yield* goOnBehind(deps, query, await awaitRecord(deps, execution, chunk.attempt, place.job), by, signal);
  }
}

function* toldByRecord(record: ExecutionRecord, query: FollowQuery): Generator<LogEvent, void> {
  const isSame = query.after?.attempt === record.attempt;
  const from = isSame ? query.after?.offset : query.after === undefined ? query.from : undefined;
  const tail = query.after === undefined ? query.tail : undefined;
  const { attempt, offset, next, size, skipped, bytes } = partOfRecord(record, { from, tail, bytes: EVERYTHING });
  if (skipped > 0) yield { type: "skipped", attempt, to: offset, bytes: skipped, why: "cut" };
  if (bytes.length > 0) yield { type: "log", attempt, from: offset, to: next, size, bytes };
}

/** An attempt is over: the next one, if there is one to show. */
async function* goOnBehind(
  deps: FollowDeps,
  query: FollowQuery,
  record: ExecutionRecord,
  by: string,
  signal: AbortSignal,
): AsyncGenerator<LogEvent, void> {
  if (query.attempt !== undefined || record.finalAttempt) {
    return yield { type: "end", attempt: record.attempt, size: record.output?.totalBytes ?? 0 };
  }
  const after = { attempt: record.attempt + 1, offset: 0 };
  yield* followOnce(deps, { ...query, after }, await findLog(deps, { ...query, attempt: after.attempt }), by, signal);
}

function brokeOff(execution: string, cause: unknown): AppError {
  return new AppError("log/no-answer", `the log of execution ${execution} breaks off again and again`, { cause });
}
