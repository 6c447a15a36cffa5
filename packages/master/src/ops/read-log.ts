/** Reads a part of an execution's log: without a gap in it, from the node that has the log, or from the record when all is in there. */
import { AppError } from "fleetcron-shared/base/errors";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { unpackBytes } from "fleetcron-shared/wire/log-chunk";
import type { LogPart } from "../http/log-schema.ts";
import { awaitRecord, findLog, isWhole, type LogName } from "./find-log.ts";
import { Interrupted } from "./log-streams.ts";
import type { OpsDeps } from "./ops-deps.ts";

export type LogQuery = LogName & {
  readonly from?: number | undefined;
  readonly tail?: number | undefined;
  readonly head?: number | undefined;
  readonly bytes: number;
};

/** With where it comes from. */
export type SourcedPart = LogPart & { readonly source: "node" | "record" };

type ReadDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "logStreams">;

const TRIES = 5;

/** Throws `execution/not-found`, `node/not-online`, `log/no-answer`, `log/not-kept`. */
export async function readLog(deps: ReadDeps, query: LogQuery, by: string, signal: AbortSignal): Promise<SourcedPart> {
  const place = await findLog(deps, query);
  if (place.record !== undefined && isWhole(place.record)) return partOfRecord(place.record, query);
  return untilUnbroken(query.execution, async () => {
    const part = await askNode(deps, place.node, { ...query, attempt: place.attempt }, by, signal);
    if ("bytes" in part) return part;
    return partOfRecord(place.record ?? (await awaitRecord(deps, query.execution, part.goneAttempt, place.job)), query);
  });
}

/** Asks a node again when its stream breaks off. */
export async function untilUnbroken<T>(execution: string, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (thrown) {
      if (!(thrown instanceof Interrupted)) throw thrown;
      if (tries === TRIES)
        throw new AppError("log/no-answer", `the log of execution ${execution} broke off ${TRIES} times`, { cause: thrown });
    }
  }
}

async function askNode(
  deps: ReadDeps,
  node: string,
  query: LogQuery,
  by: string,
  signal: AbortSignal,
): Promise<SourcedPart | { readonly goneAttempt: number }> {
  const { execution, attempt, from, tail, head, bytes } = query;
  const wish = {
    ...{ execution, follow: false, bytes, by },
    ...(attempt === undefined ? {} : { attempt }),
    ...(from === undefined ? {} : { from }),
    ...(tail === undefined ? {} : { tail }),
    ...(head === undefined ? {} : { head }),
  };
  const pieces: Buffer[] = [];
  let offset: number | undefined;
  let skipped = 0;
  for await (const chunk of deps.logStreams.open(node, wish, signal)) {
    if (chunk.gone === true) return { goneAttempt: chunk.attempt };
    if (offset === undefined) {
      offset = chunk.from;
      skipped = chunk.skipped?.bytes ?? 0;
    }
    pieces.push(unpackBytes(chunk));
    if (chunk.end !== undefined) {
      return { attempt: chunk.attempt, offset, next: chunk.to, size: chunk.size, skipped, bytes: Buffer.concat(pieces), source: "node" };
    }
  }
  throw new AppError("log/no-answer", "the reader has gone away");
}

/** The record's text stands for [cutBytes, totalBytes), also where a few bytes were no text. */
export function partOfRecord(record: ExecutionRecord, query: Omit<LogQuery, "execution">): SourcedPart {
  const { tail = "", cutBytes = 0, totalBytes = 0 } = record.output ?? {};
  const kept = Buffer.from(tail);
  const lines = lineStarts(kept);
  const asked = query.tail === undefined ? (query.from ?? 0) : cutBytes + (lines.at(-Math.max(1, query.tail)) ?? 0);
  const start = query.tail === 0 ? kept.length : Math.min(kept.length, Math.max(0, asked - cutBytes));
  const lastLine = query.head === undefined ? undefined : lines.filter((at) => at > start)[query.head - 1];
  const end = Math.min(lastLine ?? kept.length, start + query.bytes);
  const offset = Math.min(cutBytes + start, Math.max(totalBytes, asked));
  return {
    ...{ attempt: record.attempt, offset, size: totalBytes, source: "record" },
    next: end === kept.length ? Math.max(totalBytes, offset) : cutBytes + end,
    skipped: Math.max(0, cutBytes - asked),
    bytes: kept.subarray(start, end),
  };
}

/** Where lines begin; the end counts as a beginning only for what follows it. */
function lineStarts(bytes: Buffer): number[] {
  const starts = [0];
  for (let at = bytes.indexOf(10); at >= 0 && at < bytes.length - 1; at = bytes.indexOf(10, at + 1)) starts.push(at + 1);
  return starts;
}
