/** Runs of pipelines, from etcd: one by its id, many newest first. They are not held in memory, because they grow with time. */
import { AppError } from "fleetcron-shared/base/errors";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import type { Unfinished } from "fleetcron-shared/model/pipeline/request";
import { isTaskEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { decode, tryDecode } from "fleetcron-shared/wire/codec";
import type { PipelineRunPage, PipelineRunSummary, PipelineRunView, PipelineTaskView } from "../http/pipeline-schema.ts";
import { fromKey, type JobRef } from "../job-ref.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { fromCursor, isText, toCursor } from "./page.ts";
import { readKeys } from "./read-keys.ts";
import { scanPrefix } from "./scan.ts";

export type RunDeps = Pick<OpsDeps, "kv" | "keys" | "views">;
export type FoundRun = { readonly ref: JobRef; readonly run: RunDocument; readonly plan: RunPlan; readonly view: PipelineRunView };

/** Throws `pipeline/no-run`. `pipeline` (`group/id`) saves the search. */
export async function findRun(deps: RunDeps, id: string, pipeline: string | undefined): Promise<FoundRun> {
  const { keys } = deps;
  const ref = pipeline === undefined ? await pipelineOf(deps, id) : fromKey(pipeline);
  if (ref !== undefined) {
    const at = [keys.run(ref.group, ref.id, id), keys.plan(ref.group, ref.id, id)] as const;
    const found = await readKeys(deps.kv, at);
    const [run, plan] = [found.get(at[0]), found.get(at[1])];
    if (run !== undefined && plan !== undefined) {
      const held = { run: decode<RunDocument>(run.key, run.value), plan: decode<RunPlan>(plan.key, plan.value) };
      return { ref, ...held, view: runView(held.run, held.plan) };
    }
  }
  throw new AppError("pipeline/no-run", `there is no run ${id}`, { hint: "it may be older than its pipeline's retention" });
}

/** Where a run is kept: it is not over, or its key is found by name. */
async function pipelineOf({ kv, keys }: RunDeps, id: string): Promise<JobRef | undefined> {
  const mark = await kv.get(keys.unfinished(id));
  const held = mark === undefined ? undefined : tryDecode<Unfinished>(mark.key, mark.value);
  if (held !== undefined) return { group: held.group, id: held.pipeline };
  for await (const { key } of scanPrefix(kv, keys.runs, { keysOnly: true })) {
    const [, group = "", pipeline = "", run] = keys.parts(key);
    if (run === id) return { group, id: pipeline };
  }
  return undefined;
}

export type RunQuery = {
  readonly pipeline?: string | undefined;
  readonly group?: string | undefined;
  readonly state?: RunDocument["state"] | "unfinished" | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
};

/** Newest first, by when they were asked for. */
export async function listRuns(deps: RunDeps, query: RunQuery): Promise<PipelineRunPage> {
  const { kv, keys } = deps;
  const before = fromCursor(query.cursor, isText) ?? "~";
  const of = query.pipeline === undefined ? undefined : fromKey(query.pipeline);
  const prefix = of === undefined ? keys.runs : keys.runsOf(of.group, of.id);
  const isOfGroup = (key: string) => query.group === undefined || keys.parts(key)[1] === query.group;
  const idOf = (key: string) => key.slice(key.lastIndexOf("/") + 1);
  const found =
    query.state === "unfinished"
      ? await unfinishedKeys(deps)
      : (await all(scanPrefix(kv, prefix, { keysOnly: true }))).map(({ key }) => key);
  const sorted = found
    .filter((key) => key.startsWith(prefix) && isOfGroup(key) && idOf(key) < before)
    .sort((a, b) => (idOf(a) > idOf(b) ? -1 : 1));
  const items: PipelineRunSummary[] = [];
  for (let at = 0; at < sorted.length; at += query.limit) {
    const chunk = sorted.slice(at, at + query.limit);
    const read = await readKeys(kv, chunk);
    for (const key of chunk) {
      const entry = read.get(key);
      const run = entry === undefined ? undefined : tryDecode<RunDocument>(key, entry.value);
      if (run === undefined || (query.state !== undefined && query.state !== "unfinished" && run.state !== query.state)) continue;
      items.push(runSummary(run));
      if (items.length < query.limit) continue;
      const shown = await withPositions(deps, items);
      return key === sorted.at(-1) ? { items: shown } : { items: shown, next: toCursor(run.id) };
    }
  }
  return { items: await withPositions(deps, items) };
}

/** The keys of all runs that are not over. */
async function unfinishedKeys({ kv, keys }: RunDeps): Promise<string[]> {
  const marks = await all(scanPrefix(kv, keys.unfinishedAll));
  return marks.flatMap(({ key, value }) => {
    const held = tryDecode<Unfinished>(key, value);
    return held === undefined ? [] : [keys.run(held.group, held.pipeline, keys.parts(key)[1] ?? "")];
  });
}

/** Queued runs with their place in the queue of their sequence, in the order in which the engine starts them. */
async function withPositions({ kv, keys }: RunDeps, items: readonly PipelineRunSummary[]): Promise<PipelineRunSummary[]> {
  const isQueued = ({ state, sequence }: PipelineRunSummary | RunDocument) => state === "queued" && sequence !== undefined;
  const pipelines = new Set(items.filter(isQueued).map(({ group, pipeline }) => keys.runsOf(group, pipeline)));
  if (pipelines.size === 0) return [...items];
  const at = (await all(scanPrefix(kv, keys.unfinishedAll))).flatMap((entry) => {
    const value = tryDecode<Unfinished>(entry.key, entry.value);
    if (value === undefined || !pipelines.has(keys.runsOf(value.group, value.pipeline))) return [];
    return [keys.run(value.group, value.pipeline, keys.parts(entry.key)[1] ?? "")];
  });
  const found = [...(await readKeys(kv, at))].flatMap(([key, entry]) =>
    entry === undefined ? [] : (tryDecode<RunDocument>(key, entry.value) ?? []),
  );
  const counts = new Map<string, number>();
  const positions = new Map<string, number>();
  for (const run of found.filter(isQueued).sort((a, b) => (isBefore(a, b) ? -1 : 1))) {
    const queue = JSON.stringify([run.group, run.pipeline, run.sequence]);
    counts.set(queue, (counts.get(queue) ?? 0) + 1);
    positions.set(run.id, counts.get(queue) ?? 0);
  }
  return items.map((item) => {
    const position = positions.get(item.id);
    return position === undefined ? item : { ...item, position };
  });
}

function isBefore(a: RunDocument, b: RunDocument): boolean {
  return a.queuedAt < b.queuedAt || (a.queuedAt === b.queuedAt && a.id < b.id);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

/** A run with its plan, in the plan's order; the hash of an update token stays inside. */
export function runView(run: RunDocument, plan: RunPlan): PipelineRunView {
  const { v: _, tasks: held, ...rest } = run;
  const tasks = plan.tasks.map((task): PipelineTaskView => {
    const { tokenHash: _hash, ...state } = held[task.name] ?? { state: "pending", attempt: 1, since: run.createdAt };
    return {
      name: task.name,
      part: task.part,
      ...(task.stage === undefined ? {} : { stage: task.stage }),
      job: task.job,
      needs: task.needs.flatMap((need) => plan.tasks[need]?.name ?? []),
      after: task.after,
      ...(task.audit === undefined ? {} : { auditors: task.audit.auditors }),
      ...(task.confirm === undefined ? {} : { checkers: task.confirm.checkers }),
      ...state,
    };
  });
  return { ...rest, name: plan.name, revision: plan.revision, params: plan.values, tasks };
}

/** A run without its tasks. */
export function runSummary(run: RunDocument): PipelineRunSummary {
  const { id, group, pipeline, state, attempt, by, trigger, labels, sequence, createdAt, startedAt, endedAt, message } = run;
  const tasks = Object.entries(run.tasks);
  return {
    ...{ id, group, pipeline, state, attempt, by, trigger, labels, createdAt },
    ...(sequence === undefined ? {} : { sequence }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(message === undefined ? {} : { message }),
    tasks: {
      total: tasks.length,
      ended: tasks.filter(([, task]) => isTaskEnd(task.state)).length,
      failed: tasks.filter(([, task]) => task.state === "failed").length,
    },
    waiting: tasks.flatMap(([name, task]) => (task.state === "waitingAudit" || task.state === "waitingConfirm" ? [name] : [])),
  };
}
