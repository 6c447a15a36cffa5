/**
 * Asks for a run of a pipeline: its plan, the run in state `queued` and the mark that it is not over, in one transaction; the leader's engine does the rest.
 * With an id of the caller's choice (made of a delivery, a tick) the same wish is the same run.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { GlobalValue } from "fleetcron-shared/model/facts";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import { namesFor } from "fleetcron-shared/model/pipeline/params";
import { parseJobReference, tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { place } from "fleetcron-shared/model/pipeline/placement";
import { globalsNamed, makePlan, type PlannedJob, type RunPlan, resolveTask } from "fleetcron-shared/model/pipeline/plan";
import type { Unfinished } from "fleetcron-shared/model/pipeline/request";
import { newRun, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { absent, type Compare, MAX_TXN_BYTES, type Op, type Txn, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { PipelineDryRun, PipelineRunView } from "../http/pipeline-schema.ts";
import { fromKey, type JobRef, toKey } from "../job-ref.ts";
import { passing, type Step } from "../kill-points.ts";
import { type JobEntry, jobEntry, type PipelineEntry } from "../views.ts";
import { findRun, runView } from "./find-run.ts";
import type { Once } from "./once.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { findPipeline } from "./pipelines.ts";
import { readKeys } from "./read-keys.ts";
import { settle } from "./settle.ts";

export type RunWish = {
  readonly params: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** What asks for it, such as `manual`. */
  readonly trigger: string;
  readonly by: string;
  /** Default: a new one. A run that is there already is given back as it is. */
  readonly run?: string | undefined;
  /** Of a request that happens once: the run has its id. */
  readonly once?: Once | undefined;
  /** Of runs that start each other: how many came before it. */
  readonly chain?: number | undefined;
  /** What the transaction is; default: createRun. */
  readonly step?: Step;
  /** What must hold and what is written with the run, in one transaction. */
  readonly also?: { readonly if: readonly Compare[]; readonly then: readonly Op[] };
};

type WishDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock" | "newId" | "passPoint">;

const TRIES = 3;

/** Throws `pipeline/not-found`, `input/invalid` with everything that keeps it from running, `input/too-large`. */
export async function runPipeline(deps: WishDeps, ref: JobRef, wish: RunWish): Promise<PipelineRunView> {
  const { keys } = deps;
  const { once } = wish;
  const id = wish.run ?? once?.id ?? deps.newId();
  if (once?.made === true) return (await findRun(deps, id, toKey(ref))).view;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const entry = await findPipeline(deps, ref);
    const plan = await planOf(deps, entry, wish, id);
    const sequence = sequenceOf(entry.stored.spec.sequential, plan);
    const { by, trigger, chain, also, step = "createRun" } = wish;
    const run = newRun(plan, { by, trigger, at: toIso(deps.clock.now()), sequence, chain });
    const [runText, planText] = [encode(run), encode(plan)];
    const bytes = Buffer.byteLength(runText) + Buffer.byteLength(planText);
    if (bytes > MAX_TXN_BYTES * 0.9) {
      const message = `a run of ${toKey(ref)} takes ${Math.ceil(bytes / 1024)} KiB with its jobs; at most ${Math.floor((MAX_TXN_BYTES * 0.9) / 1024)} KiB are stored`;
      throw new AppError("input/too-large", message, { hint: "put long scripts into files on the nodes" });
    }
    const runKey = keys.run(ref.group, ref.id, id);
    const mark: Unfinished = { v: 1, group: ref.group, pipeline: ref.id };
    const txn: Txn = {
      if: [
        unchanged(keys.pipeline(ref.group, ref.id), entry.revision),
        absent(runKey),
        ...(also?.if ?? []),
        ...(once === undefined ? [] : [once.guard]),
      ],
      then: [
        { op: "put", key: runKey, value: runText },
        { op: "put", key: keys.plan(ref.group, ref.id, id), value: planText },
        { op: "put", key: keys.unfinished(id), value: encode(mark) },
        ...(also?.then ?? []),
        ...(once === undefined ? [] : [once.mark(runView(run, plan))]),
      ],
    };
    const { succeeded } = await passing(deps.passPoint, [step], () => settle(deps.kv, txn));
    if (succeeded) return runView(run, plan);
    if ((wish.run ?? once) !== undefined && (await deps.kv.get(runKey)) !== undefined) return (await findRun(deps, id, toKey(ref))).view;
  }
  throw new AppError("write/conflict", `pipeline ${toKey(ref)} is being changed all the time`);
}

/** The value of the param, or else of the label, that runs of the pipeline queue by. */
function sequenceOf(sequential: string | undefined, plan: RunPlan): string | undefined {
  if (sequential === undefined) return undefined;
  const param = plan.params.find(({ name }) => name === sequential);
  if (param === undefined) return plan.labels[sequential] ?? "";
  return namesFor({ pipeline: [param], run: plan.values, outputs: {} })[sequential];
}

/** What a run would be, and where its tasks would go now. */
export async function dryRunPipeline(deps: WishDeps, ref: JobRef, wish: RunWish): Promise<PipelineDryRun> {
  const { keys, views } = deps;
  const plan = await planOf(deps, await findPipeline(deps, ref), wish, deps.newId());
  const run: RunDocument = newRun(plan, { by: wish.by, trigger: wish.trigger, at: toIso(deps.clock.now()) });
  const nodes = [...views.nodes.entries()].map(([, { info, labels }]) => {
    const alive = views.alive.get(keys.alive(info.id));
    return {
      id: info.id,
      labels,
      online: alive !== undefined,
      draining: info.drain !== undefined,
      load: (alive?.running ?? 0) + (alive?.queued ?? 0),
    };
  });
  const tasks = plan.tasks.map((task) => {
    const placement = place(plan, run, task, nodes);
    const note = "why" in placement ? placement.why : placement.leftOut;
    return {
      name: task.name,
      part: task.part,
      ...(task.stage === undefined ? {} : { stage: task.stage }),
      job: task.job,
      revision: plan.jobs[task.job]?.revision ?? 0,
      needs: needsOf(plan, task),
      after: task.after,
      params: Object.fromEntries(resolveTask(plan, task, {}).params.map(({ name, value }) => [name, value])),
      nodes: "why" in placement ? [] : [...placement.nodes],
      ...(note === undefined ? {} : { note }),
    };
  });
  return { dryRun: true, tasks };
}

/** The tasks that one waits for directly, by name; those of earlier stages are left out. */
export function needsOf(plan: RunPlan, task: RunPlan["tasks"][number]): string[] {
  return task.needs.flatMap((need) => plan.tasks[need]?.name ?? []);
}

async function planOf(deps: WishDeps, { stored, revision }: PipelineEntry, wish: RunWish, run: string): Promise<RunPlan> {
  const { group, id, spec, updatedAt } = stored;
  const [jobs, globals] = await Promise.all([readJobs(deps, stored), readGlobals(deps, globalsNamed(spec))]);
  const made = makePlan({
    ...{ run, group, id, revision, updatedAt, spec, values: wish.params, globals, labels: wish.labels },
    jobOf: (key) => planned(jobs.get(key)),
    jobKeys: () => [...deps.views.jobs.entries()].map(([, { job }]) => job.key),
  });
  if ("plan" in made) return made.plan;
  throw new AppError(
    "input/invalid",
    `pipeline ${group}/${id} cannot run: ${made.issues[0]?.path ?? ""} ${made.issues[0]?.message ?? ""}`,
    { issues: made.issues },
  );
}

/** The jobs that the pipeline names: from memory, or from etcd when they are too new to be there. */
async function readJobs(deps: WishDeps, { spec }: PipelineEntry["stored"]): Promise<Map<JobKey, JobEntry>> {
  const { keys, views } = deps;
  const names = new Set(
    tasksOf(spec).flatMap(({ task }) => (typeof task.job === "string" ? (parseJobReference(task.job)?.key ?? []) : [])),
  );
  const keyOf = (name: JobKey) => keys.job(fromKey(name).group, fromKey(name).id);
  const found = new Map<JobKey, JobEntry>();
  const unknown = [...names].filter((name) => {
    const entry = views.jobs.get(keyOf(name));
    if (entry !== undefined) found.set(name, entry);
    return entry === undefined;
  });
  const read = await readKeys(deps.kv, unknown.map(keyOf));
  for (const name of unknown) {
    const kv = read.get(keyOf(name));
    if (kv !== undefined) found.set(name, jobEntry(kv));
  }
  return found;
}

async function readGlobals({ kv, keys }: WishDeps, names: readonly string[]): Promise<Record<string, string>> {
  const found = await readKeys(kv, names.map(keys.global));
  return Object.fromEntries(
    names.flatMap((name) => {
      const entry = found.get(keys.global(name));
      return entry === undefined ? [] : [[name, decode<GlobalValue>(entry.key, entry.value).value]];
    }),
  );
}

function planned(entry: JobEntry | undefined): PlannedJob | undefined {
  if (entry === undefined) return undefined;
  const { v: _, ...stored } = entry.stored;
  return { ...stored, revision: entry.job.revision };
}
