/** Finds a line in an execution's log, where the log is: the node reads it, however large it is, and tells only the place. */
import { AppError } from "fleetcron-shared/base/errors";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { type FindWish, findLine } from "fleetcron-shared/wire/log-find";
import type { LogSearchResult } from "../http/log-schema.ts";
import { awaitRecord, findLog, isWhole, type LogName } from "./find-log.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { untilUnbroken } from "./read-log.ts";

type SearchDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "archive" | "caller" | "logStreams">;

/** Throws `execution/not-found`, `node/not-online`, `log/no-answer`, `log/not-kept`. */
export async function searchLog(deps: SearchDeps, query: LogName & FindWish, by: string, signal: AbortSignal): Promise<LogSearchResult> {
  const place = await findLog(deps, query);
  if (place.record !== undefined && isWhole(place.record)) return inRecord(place.record, query, signal);
  return untilUnbroken(query.execution, async () => {
    const found = await askNode(deps, place.node, { ...query, attempt: place.attempt }, by, signal);
    if (!("goneAttempt" in found)) return found;
    return inRecord(place.record ?? (await awaitRecord(deps, query.execution, found.goneAttempt, place.job)), query, signal);
  });
}

async function askNode(
  deps: SearchDeps,
  node: string,
  { execution, attempt, from, text, up }: LogName & FindWish,
  by: string,
  signal: AbortSignal,
): Promise<LogSearchResult | { readonly goneAttempt: number }> {
  const wish = { ...{ execution, follow: false, from, find: { text, up }, by }, ...(attempt === undefined ? {} : { attempt }) };
  for await (const chunk of deps.logStreams.open(node, wish, signal)) {
    if (chunk.gone === true) return { goneAttempt: chunk.attempt };
    if (chunk.end === undefined && chunk.to === chunk.from) continue;
    if (chunk.found === undefined) {
      throw new AppError("log/no-answer", `the agent of node ${node} cannot search in logs: it is of an older version`, {
        hint: "upgrade the agent, or search in what `fleetcron run logs` prints",
      });
    }
    return { attempt: chunk.attempt, size: chunk.size, offset: chunk.found ? chunk.from : null };
  }
  throw new AppError("log/no-answer", "the reader has gone away");
}

/** The record's text stands for [cutBytes, totalBytes). */
async function inRecord(record: ExecutionRecord, wish: FindWish, signal: AbortSignal): Promise<LogSearchResult> {
  const { tail = "", cutBytes = 0, totalBytes = 0 } = record.output ?? {};
  const kept = Buffer.from(tail);
  const read = (offset: number, length: number) => {
    const from = Math.max(offset, cutBytes);
    return Promise.resolve({ from, bytes: kept.subarray(from - cutBytes, from - cutBytes + length) });
  };
  const offset = await findLine({ size: totalBytes, read }, wish, signal);
  return { attempt: record.attempt, size: totalBytes, offset: offset ?? null };
}
