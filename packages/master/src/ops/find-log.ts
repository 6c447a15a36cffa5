/** Where the output of an attempt is: whole in its record, or in a log on a node. */
import { AppError } from "fleetcron-shared/base/errors";
import type { Order } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { findExecutionRecords } from "./find-records.ts";
import { procsOf } from "./list-executions.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { scanPrefix } from "./scan.ts";

type FindDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "archive" | "caller">;

/** Between the end of a process and its record's arrival. */
const RECORD_MS = 10_000;
const POLL_MS = 100;

export type LogPlace = {
  /** `group/id` of the job, as far as it is known: it saves searches. */
  readonly job: string | undefined;
  readonly node: string;
  /** Undefined: the one that is on. */
  readonly attempt: number | undefined;
  /** Of that attempt, when it has ended. */
  readonly record: ExecutionRecord | undefined;
  readonly hasEnded: boolean;
};

export type LogName = { readonly execution: string; readonly attempt?: number | undefined; readonly job?: string | undefined };

/** Throws `execution/not-found`. */
export async function findLog(deps: FindDeps, name: LogName): Promise<LogPlace> {
  const proc = procsOf(deps, {}).find((entry) => entry.proc.execution === name.execution);
  const job = name.job ?? (proc === undefined ? undefined : `${proc.group}/${proc.job}`);
  const records = await findExecutionRecords(deps, name.execution, job);
  const last = records.at(-1);
  const hasEnded = last?.finalAttempt === true;
  const record = name.attempt === undefined ? (hasEnded ? last : undefined) : records.find(({ attempt }) => attempt === name.attempt);
  const found = { job: job ?? (last === undefined ? undefined : `${last.jobGroup}/${last.jobId}`), record, hasEnded };
  if (record !== undefined) return { ...found, node: record.nodeId, attempt: record.attempt };
  if (hasEnded && last !== undefined) {
    throw new AppError(
      "execution/not-found",
      `execution ${name.execution} has no attempt ${name.attempt}: it ended with attempt ${last.attempt}`,
    );
  }
  if (proc !== undefined) return { ...found, node: proc.node, attempt: name.attempt };
  if (last !== undefined) return { ...found, node: last.nodeId, attempt: name.attempt };
  const ordered = await orderOf(deps, name.execution);
  if (ordered !== undefined) return { ...found, ...ordered, attempt: name.attempt };
  throw new AppError("execution/not-found", `no execution ${name.execution} is running or recorded`, {
    hint: "one that has run for less than half a second is not listed yet; `fleetcron run ls` shows what is",
  });
}

/** An execution that was ordered and shows no process (yet) can be found by its order. */
async function orderOf(deps: FindDeps, execution: string): Promise<{ node: string; job: string } | undefined> {
  for await (const kv of scanPrefix(deps.kv, deps.keys.ordersAll)) {
    const order = tryDecode<Order>(kv.key, kv.value);
    const node = deps.keys.parts(kv.key)[1];
    if (order?.type === "run" && order.execution === execution && node !== undefined) return { node, job: `${order.group}/${order.job}` };
  }
  return undefined;
}

/** The record of an attempt that has just ended, as soon as it is filed; throws `log/not-kept` when none comes. */
export async function awaitRecord(deps: FindDeps, execution: string, attempt: number, job: string | undefined): Promise<ExecutionRecord> {
  const until = deps.clock.mono() + RECORD_MS;
  for (;;) {
    const found = (await findExecutionRecords(deps, execution, job)).find((record) => record.attempt === attempt);
    if (found !== undefined) return found;
    if (deps.clock.mono() > until) {
      throw new AppError(
        "log/not-kept",
        `the node has no log of attempt ${attempt} of execution ${execution}, and there is no record of it`,
      );
    }
    await deps.clock.sleep(POLL_MS);
  }
}

/** Whether the record holds all that the process has written; of one that was lost nobody knows. */
export function isWhole(record: ExecutionRecord): boolean {
  return record.outcome.type !== "lost" && record.logRef === undefined && (record.output?.cutBytes ?? 0) === 0;
}
