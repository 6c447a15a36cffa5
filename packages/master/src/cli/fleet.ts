/** `fleetcron node …`, `run …`, `record …`, `proc …`: nodes, executions, records and processes. */
import type * as Api from "../http/api-schema.ts";
import { toKey } from "../job-ref.ts";
import { parseId, parseInstant, parseJobRef, parsePairs } from "./arguments.ts";
import type { Context } from "./context.ts";
import { executionColumns, executionText, nodeColumns, nodeText, procColumns, recordColumns, recordText, workTable } from "./fleet-text.ts";
import { type ListOptions, showListing } from "./list.ts";
import { printOne } from "./output.ts";

type JobAndNode = { readonly job?: string; readonly node?: string };

export async function listNodes(context: Context, options: ListOptions & { label?: readonly string[] }): Promise<void> {
  const api = await context.api();
  await showListing(context, options, {
    fetchPage: (page) => api.nodes(options.label === undefined ? page : { ...page, label: [...options.label] }),
    name: (node) => node.id,
    columns: nodeColumns(context),
    empty: "no node has registered; start `fleetcron-agent` on a host with the same --etcd and --prefix as the master",
  });
}

export async function showNode(context: Context, id: string): Promise<void> {
  const node = await (await context.api()).node(parseId(id, "a node"));
  await printOne(context, node, {
    name: (view) => view.id,
    text: async (view) => nodeText(context, view) + (await workTable(context, view.executions)),
  });
}

/** `role=db` sets, `role-` removes. */
export async function labelNode(context: Context, id: string, changes: readonly string[]): Promise<void> {
  const remove = changes.filter((change) => change.endsWith("-") && !change.includes("=")).map((change) => change.slice(0, -1));
  const set = parsePairs(
    changes.filter((change) => change.includes("=") || !change.endsWith("-")),
    "label",
  );
  const node = await (await context.api()).labelNode(parseId(id, "a node"), { set, remove });
  await printOne(context, node, { name: (view) => view.id, text: (view) => nodeText(context, view) });
}

export async function forgetNode(context: Context, id: string): Promise<void> {
  const gone = await (await context.api()).forgetNode(parseId(id, "a node"));
  await printOne(context, gone, { name: () => id, text: () => `${id} forgotten\n` });
}

export async function listExecutions(context: Context, options: ListOptions & JobAndNode & { state?: "running" | "ended" }): Promise<void> {
  const api = await context.api();
  const query = { ...jobAndNode(options), ...(options.state === undefined ? {} : { state: options.state }) };
  await showListing(context, options, {
    fetchPage: (page) => api.executions({ ...query, ...page }),
    groupOf: (execution) => execution.group,
    defaultLimit: 50,
    name: (execution) => execution.id,
    columns: executionColumns(context),
    empty: "there are no executions",
  });
}

export async function showExecution(context: Context, id: string): Promise<void> {
  const execution = await (await context.api()).execution(parseId(id, "an execution"));
  await printOne(context, execution, { name: (view) => view.id, text: (view) => executionText(context, view) });
}

export async function killExecutions(context: Context, ids: readonly string[], options: { reason?: string }): Promise<void> {
  const api = await context.api();
  for (const id of ids.map((one) => parseId(one, "an execution"))) {
    const result = await api.killExecution(id, options.reason === undefined ? {} : { reason: options.reason });
    await printOne(context, result, {
      name: () => id,
      text: () => `${result.node} is told to end ${id}; \`run show ${id}\` tells how it ended\n`,
    });
  }
}

export type RecordOptions = ListOptions &
  JobAndNode & { readonly outcome?: string; readonly since?: string; readonly until?: string; readonly text?: string };

export async function listRecords(context: Context, options: RecordOptions): Promise<void> {
  const api = await context.api();
  const now = context.clock.now();
  const query: Api.RecordListQuery = {
    ...jobAndNode(options),
    ...(options.outcome === undefined ? {} : { outcome: options.outcome }),
    ...(options.since === undefined ? {} : { since: parseInstant(options.since, "--since", now) }),
    ...(options.until === undefined ? {} : { until: parseInstant(options.until, "--until", now) }),
    ...(options.group === undefined ? {} : { group: options.group }),
    ...(options.text === undefined ? {} : { text: options.text }),
  };
  let notice: string | undefined;
  await showListing(context, options, {
    fetchPage: async (page) => {
      const answer = await api.records({ ...query, ...page });
      notice ??= answer.notice;
      return answer;
    },
    defaultLimit: 50,
    name: (record) => record.id,
    columns: recordColumns(context),
    empty: "there are no records that match",
  });
  if (notice !== undefined) context.io.err(`${notice}\n`);
}

export async function showRecord(context: Context, id: string): Promise<void> {
  const record = await (await context.api()).record(parseId(id, "a record"));
  await printOne(context, record, { name: (view) => view.id, text: (view) => recordText(context, view) });
}

export async function listProcs(context: Context, options: ListOptions & JobAndNode): Promise<void> {
  const api = await context.api();
  await showListing(context, options, {
    fetchPage: (page) => api.procs({ ...jobAndNode(options), ...page }),
    groupOf: (proc) => proc.group,
    name: (proc) => `${proc.node}/${proc.pid}`,
    columns: procColumns(context),
    empty: "no process of a job is running (one is listed once it has run longer than the agent's proc threshold)",
  });
}

function jobAndNode(options: JobAndNode): { job?: string; node?: string } {
  return {
    ...(options.job === undefined ? {} : { job: toKey(parseJobRef(options.job)) }),
    ...(options.node === undefined ? {} : { node: parseId(options.node, "a node") }),
  };
}
