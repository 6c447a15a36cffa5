/** The pipelines among what `apply` makes so. They are written after the jobs that they name, in as few transactions as fit. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, type Issue } from "fleetcron-shared/base/errors";
import { suggest } from "fleetcron-shared/base/suggest";
import { toIssue } from "fleetcron-shared/base/zod-issues";
import type { JobKey, JobSpec } from "fleetcron-shared/model/job-spec";
import { checkTaskParams } from "fleetcron-shared/model/pipeline/pipeline-check";
import { parseJobReference, type StoredPipeline, tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { absent, type Compare, MAX_TXN_BYTES, MAX_TXN_OPS, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { ApplyChange } from "../http/api-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { type PipelineEntry, pipelineEntry } from "../views.ts";
import { checkTriggersNow } from "./check-triggers.ts";
import type { CheckedPipeline } from "./file-checker-protocol.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { storedPipeline } from "./pipelines.ts";
import { readKeys } from "./read-keys.ts";
import { scanPrefix } from "./scan.ts";
import { settle } from "./settle.ts";
import { specDiff } from "./spec-diff.ts";
import { triggerViews } from "./trigger-views.ts";

/** One pipeline's way from `before` to `after`: undefined with `write` is deleted. */
export type PipelineStep = {
  readonly ref: JobRef;
  readonly before: PipelineEntry | undefined;
  readonly after: StoredPipeline | undefined;
  readonly write: boolean;
};

/** `jobOf`: a job as it will be, once this is applied. Throws `input/invalid` for references that lead nowhere and params that their jobs do not have. */
export async function planPipelines(
  deps: OpsDeps,
  pipelines: readonly CheckedPipeline[],
  prune: boolean,
  jobOf: (key: JobKey) => JobSpec | undefined,
): Promise<PipelineStep[]> {
  const { keys } = deps;
  const issues = pipelines.flatMap((pipeline) => checkReferences(deps, pipeline, jobOf));
  const coming = new Set(pipelines.map(toKey));
  for (const pipeline of pipelines) {
    for (const issue of await checkTriggersNow(deps, pipeline, pipeline.spec, coming)) {
      const line = pipeline.triggerLines[Number(issue.path[1])] ?? 1;
      issues.push(toIssue(issue, ["pipelines", toKey(pipeline)], { file: pipeline.file, line }));
    }
  }
  if (issues.length > 0) throw new AppError("input/invalid", "the pipelines of the files do not fit what is there", { issues });
  const now = toIso(deps.clock.now());
  const found = await readKeys(
    deps.kv,
    pipelines.map(({ group, id }) => keys.pipeline(group, id)),
  );
  const steps = pipelines.map(({ group, id, spec }): PipelineStep => {
    const kv = found.get(keys.pipeline(group, id));
    const before = kv === undefined ? undefined : pipelineEntry(kv);
    const after = storedPipeline({ group, id }, spec, before?.stored, now);
    return { ref: { group, id }, before, after: after ?? before?.stored, write: after !== undefined };
  });
  if (!prune) return steps;
  for (const group of new Set(pipelines.map((pipeline) => pipeline.group))) {
    for await (const kv of scanPrefix(deps.kv, keys.pipelinesOfGroup(group))) {
      if (!found.has(kv.key))
        steps.push({ ref: { group, id: keys.parts(kv.key)[2] ?? "" }, before: pipelineEntry(kv), after: undefined, write: true });
    }
  }
  return steps;
}

function checkReferences(deps: OpsDeps, pipeline: CheckedPipeline, jobOf: (key: JobKey) => JobSpec | undefined): Issue[] {
  const { group, id, spec, file, taskLines } = pipeline;
  return tasksOf(spec).flatMap((placed, index): Issue[] => {
    if (typeof placed.task.job !== "string") return [];
    const at = { file, line: taskLines[index] ?? 1 };
    const key = parseJobReference(placed.task.job)?.key ?? placed.task.job;
    const job = jobOf(key);
    const issues =
      job === undefined
        ? [{ path: [...placed.path, "job"], message: `there is no job ${key}`, ...nearest(deps, key) }]
        : checkTaskParams(spec, placed, job.params ?? []);
    return issues.map((issue) => toIssue(issue, ["pipelines", `${group}/${id}`], at));
  });
}

function nearest(deps: OpsDeps, key: JobKey): { hint: string } {
  const near = suggest(
    key,
    [...deps.views.jobs.entries()].map(([, { job }]) => job.key),
  );
  return { hint: near === undefined ? "apply the job too, or write it into the task" : `did you mean "${near}"?` };
}

/** The revisions by key. Throws `write/conflict`. */
export async function writePipelines(deps: OpsDeps, steps: readonly PipelineStep[]): Promise<Map<string, Revision>> {
  const revisions = new Map<string, Revision>();
  let last: Revision | undefined;
  for (const batch of batches(deps, steps)) {
    const { succeeded, revision } = await settle(deps.kv, { if: batch.if, then: batch.then });
    if (!succeeded)
      throw new AppError("write/conflict", "a pipeline was changed meanwhile; its like in the same files were not written", {
        hint: "apply again",
      });
    last = revision;
    for (const ref of batch.refs) revisions.set(toKey(ref), revision);
  }
  if (last !== undefined) await deps.views.pipelines.reached(last);
  return revisions;
}

function batches(deps: OpsDeps, steps: readonly PipelineStep[]) {
  const made: { refs: JobRef[]; if: Compare[]; then: Op[]; bytes: number }[] = [];
  for (const { ref, before, after, write } of steps) {
    if (!write) continue;
    const key = deps.keys.pipeline(ref.group, ref.id);
    const value = after === undefined ? undefined : encode(after);
    const bytes = Buffer.byteLength(value ?? "");
    let batch = made.at(-1);
    if (batch === undefined || batch.then.length >= MAX_TXN_OPS - 1 || batch.bytes + bytes > MAX_TXN_BYTES) {
      batch = { refs: [], if: [], then: [], bytes: 0 };
      made.push(batch);
    }
    batch.refs.push(ref);
    batch.if.push(before === undefined ? absent(key) : unchanged(key, before.revision));
    if (value !== undefined) batch.then.push({ op: "put", key, value });
    else batch.then.push({ op: "delete", key }, { op: "delete", key: deps.keys.streak(ref.group, ref.id) });
    batch.bytes += bytes;
  }
  return made;
}

export function describePipeline(
  deps: Pick<OpsDeps, "clock" | "timetable">,
  { ref, before, after, write }: PipelineStep,
  written: Revision | undefined,
): ApplyChange {
  const triggers = after === undefined ? [] : triggerViews(after, { nowMs: deps.clock.now(), timezone: deps.timetable.timezone });
  const rules = triggers.flatMap(({ name, words, next }) => (next === undefined ? [] : [{ id: name, words, next }]));
  const diff = write ? specDiff(before?.stored.spec, after?.spec) : [];
  const revision = written ?? (write ? undefined : before?.revision);
  return {
    kind: "pipeline",
    key: toKey(ref),
    action: after === undefined ? "deleted" : before === undefined ? "created" : write ? "updated" : "unchanged",
    ...(diff.length === 0 ? {} : { diff }),
    ...(rules.length === 0 ? {} : { rules }),
    ...(revision === undefined ? {} : { revision }),
  };
}
