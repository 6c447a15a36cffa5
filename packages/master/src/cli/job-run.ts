/**
 * `fleetcron job run`: orders executions, and with --wait follows each to the record of its final attempt. The wait only reads; ending it
 * (Ctrl-C, --timeout, a master that goes away for longer than it takes to try again) does not touch the executions.
 */
import { AppError, asAppError, isCode } from "fleetcron-shared/base/errors";
import { createIdSource } from "fleetcron-shared/base/ids";
import type { ApiClient } from "../client/api.ts";
import type { ExecutionDetail, RunResult } from "../http/api-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { parseId, parseJobRef, parsePairs, parseSpan } from "./arguments.ts";
import type { Context } from "./context.ts";
import { outputText } from "./fleet-text.ts";
import { humanDuration, plain } from "./human.ts";
import { detailText, printOne, printValue, tableText } from "./output.ts";
import { createProgress } from "./progress.ts";

export type RunOptions = {
  readonly node?: string;
  readonly env?: readonly string[];
  readonly param?: readonly string[];
  readonly wait?: boolean;
  readonly timeout?: string;
};

const FIRST_POLL_MS = 50;
const SLOWEST_POLL_MS = 1000;
/** How long a master that does not answer is asked again while waiting. */
const PATIENCE_MS = 30_000;

export async function runJob(context: Context, name: string, options: RunOptions): Promise<void> {
  const ref = parseJobRef(name);
  if (options.timeout !== undefined && options.wait !== true)
    throw new AppError("input/usage", "--timeout says how long --wait waits; give both");
  const timeoutMs = options.timeout === undefined ? undefined : parseSpan(options.timeout, "--timeout");
  const env = parsePairs(options.env ?? [], "--env");
  const params = parsePairs(options.param ?? [], "--param");
  const api = await context.api();
  const body = {
    ...(options.node === undefined ? {} : { node: parseId(options.node, "a node") }),
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(Object.keys(params).length === 0 ? {} : { params }),
  };
  const result = await api.runJob(ref, body, createIdSource(context)());
  if (options.wait !== true) return printOrders(context, ref, result);
  const ended = await waitForAll(context, api, ref, result.orders, timeoutMs);
  await printEnded(context, ended);
  const failed = ended.filter((execution) => execution.success !== true);
  if (failed.length > 0)
    throw new AppError("run/failed", `${toKey(ref)} failed on ${failed.map((execution) => execution.node).join(", ")}`, {
      hint: "`fleetcron run show ID` tells more",
    });
}

async function printOrders(context: Context, ref: JobRef, result: RunResult): Promise<void> {
  const format = context.options().output ?? "table";
  if (format === "name") return context.io.out(result.orders.map((order) => `${order.execution}\n`).join(""));
  const columns = [
    { title: "NODE", cell: (order: RunResult["orders"][number]) => order.node },
    { title: "EXECUTION", cell: (order: RunResult["orders"][number]) => order.execution },
  ];
  await printOne(context, result, { name: () => toKey(ref), text: () => tableText(context, columns, result.orders) });
}

/** Polls until each execution has the record of its final attempt; `wait/timeout` beyond the limit. */
async function waitForAll(
  context: Context,
  api: ApiClient,
  ref: JobRef,
  orders: RunResult["orders"],
  timeoutMs: number | undefined,
): Promise<ExecutionDetail[]> {
  const { clock } = context;
  const startedAt = clock.mono();
  const ended = new Map<string, ExecutionDetail>();
  const progress = createProgress(context);
  let answeredAt = startedAt;
  let pollMs = FIRST_POLL_MS;
  for (;;) {
    const open = orders.filter((order) => !ended.has(order.execution));
    for (const order of open) {
      try {
        const execution = await look(api, order.execution, ref);
        answeredAt = clock.mono();
        if (execution?.state === "ended" && execution.finalAttempt === true) ended.set(order.execution, execution);
      } catch (thrown) {
        if (!asAppError(thrown).row.retry || clock.mono() - answeredAt > PATIENCE_MS) throw thrown;
      }
    }
    const waitedMs = clock.mono() - startedAt;
    progress.show(`waiting: ${ended.size} of ${orders.length} ended, ${humanDuration(Math.round(waitedMs / 1000) * 1000)}`);
    if (ended.size === orders.length) break;
    if (timeoutMs !== undefined && waitedMs >= timeoutMs) {
      progress.clear();
      const left = orders.filter((order) => !ended.has(order.execution)).map((order) => `${order.execution} on ${order.node}`);
      throw new AppError("wait/timeout", `not ended after ${humanDuration(timeoutMs)}: ${left.join(", ")}`, {
        hint: "they go on; `fleetcron run show ID` and `fleetcron run kill ID`",
      });
    }
    await clock.sleep(Math.min(pollMs, timeoutMs === undefined ? pollMs : Math.max(1, timeoutMs - waitedMs)));
    pollMs = Math.min(SLOWEST_POLL_MS, pollMs * 1.5);
  }
  progress.clear();
  return orders.flatMap((order) => ended.get(order.execution) ?? []);
}

/** Undefined while the agent has not yet shown a process or a record of it. */
async function look(api: ApiClient, execution: string, ref: JobRef): Promise<ExecutionDetail | undefined> {
  try {
    return await api.execution(execution, toKey(ref));
  } catch (thrown) {
    if (isCode(thrown, "execution/not-found")) return undefined;
    throw thrown;
  }
}

async function printEnded(context: Context, ended: readonly ExecutionDetail[]): Promise<void> {
  const format = context.options().output ?? "table";
  if (format === "json" || format === "yaml") return printValue(context, { items: ended }, format);
  if (format === "name") return context.io.out(ended.map((execution) => `${execution.id}\n`).join(""));
  for (const execution of ended) {
    const last = execution.records.at(-1);
    const took = last?.durationMs === undefined ? "" : ` in ${humanDuration(last.durationMs)}`;
    const tries = execution.attempt > 1 ? `, attempt ${execution.attempt}` : "";
    const result = context.paint(execution.success === true ? "green" : "red", execution.outcome ?? "ended");
    context.io.out(
      detailText(context, [[plain(execution.node), `${result}${took}${tries} (execution ${execution.id})`]]) +
        outputText(context, last?.output).replace(/^\n/, ""),
    );
  }
}
