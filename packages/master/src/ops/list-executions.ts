/** Executions: those that run (from the agents' `proc` keys), then those that have ended (from records), newest first. */
import { AppError } from "fleetcron-shared/base/errors";
import { didRun, type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { ExecutionDetail, ExecutionView, ProcView } from "../http/api-schema.ts";
import type { ProcEntry } from "../views.ts";
import { findExecutionRecords } from "./find-records.ts";
import { listRecords } from "./list-records.ts";
import type { OpsDeps } from "./ops-deps.ts";

type ListDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "archive" | "caller">;
type Filter = { readonly job?: string | undefined; readonly group?: string | undefined; readonly node?: string | undefined };

export function procView(entry: ProcEntry): ProcView {
  const { v: _, ...proc } = entry.proc;
  return { node: entry.node, group: entry.group, job: entry.job, ...proc };
}

export function procsOf(deps: Pick<OpsDeps, "views">, filter: Filter): ProcEntry[] {
  return [...deps.views.procs.entries()]
    .map(([, entry]) => entry)
    .filter((entry) => filter.group === undefined || entry.group === filter.group)
    .filter((entry) => filter.node === undefined || entry.node === filter.node)
    .filter((entry) => filter.job === undefined || `${entry.group}/${entry.job}` === filter.job);
}

/** Running ones come on the first page, all of them; `next` pages through the ended ones. */
export async function listExecutions(
  deps: ListDeps,
  query: Filter & { state?: "running" | "ended" | undefined; limit: number; cursor?: string | undefined },
): Promise<{ items: ExecutionView[]; next?: string; notice?: string }> {
  const running = procsOf(deps, query)
    .map(executionView)
    .sort((a, b) => (a.id < b.id ? 1 : -1));
  if (query.state === "running") return { items: running };
  const page = await listRecords(deps, query);
  const now = new Set(running.map(({ id }) => id));
  const newest = new Map<string, ExecutionRecord>();
  for (const record of page.items) {
    const held = newest.get(record.execution);
    if (didRun(record.outcome) && !now.has(record.execution) && (held === undefined || held.attempt < record.attempt))
      newest.set(record.execution, record);
  }
  const isFirst = query.cursor === undefined && query.state === undefined;
  return { ...page, items: [...(isFirst ? running : []), ...[...newest.values()].map(endedView)] };
}

/** One execution with all its records; throws `execution/not-found`. */
export async function findExecution(deps: ListDeps, id: string, job: string | undefined): Promise<ExecutionDetail> {
  const records = await findExecutionRecords(deps, id, job);
  const proc = procsOf(deps, {}).find((entry) => entry.proc.execution === id);
  const last = records.at(-1);
  const view = proc !== undefined && !last?.finalAttempt ? executionView(proc) : last === undefined ? undefined : endedView(last);
  if (view === undefined) throw new AppError("execution/not-found", `no execution ${id} is running or recorded`);
  return { ...view, records };
}

/** One that runs. */
export function executionView(entry: ProcEntry): ExecutionView {
  const { execution, v: _, fence: __, ...proc } = entry.proc;
  return { id: execution, group: entry.group, job: entry.job, node: entry.node, state: "running", ...proc };
}

function endedView(record: ExecutionRecord): ExecutionView {
  const { pid, beginTime, ruleId, dueAt, orderId } = record;
  return {
    id: record.execution,
    group: record.jobGroup,
    job: record.jobId,
    node: record.nodeId,
    state: "ended",
    attempt: record.attempt,
    ...(pid === undefined ? {} : { pid }),
    ...(beginTime === undefined ? {} : { startedAt: beginTime }),
    endedAt: record.endTime,
    ...(ruleId === undefined ? {} : { ruleId }),
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(orderId === undefined ? {} : { orderId }),
    outcome: outcomeWord(record.outcome),
    success: record.success,
    finalAttempt: record.finalAttempt,
    record: record.id,
  };
}
