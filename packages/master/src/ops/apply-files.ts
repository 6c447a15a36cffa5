/**
 * Makes jobs what files say. Everything is checked before anything is written; jobs that stay the same are not written; each write is
 * conditional on the job being as it was read. Up to some hundred changes are one transaction; beyond that, a conflict in a later transaction is reported
 * with what has been written already, and applying again completes it.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, type Issue } from "fleetcron-shared/base/errors";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { JobSpec, StoredJob } from "fleetcron-shared/model/job-spec";
import {
  absent,
  type Compare,
  type KeyValue,
  MAX_TXN_BYTES,
  MAX_TXN_OPS,
  type Op,
  type Revision,
  unchanged,
} from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import { needCluster, needGroup, needRole } from "../caller.ts";
import type { ApplyChange, ApplyResult } from "../http/api-schema.ts";
import { fromKey, type JobRef, toKey } from "../job-ref.ts";
import { type ChannelStep, describeChannel, planChannels, writeChannels } from "./apply-channels.ts";
import { describePipeline, type PipelineStep, planPipelines, writePipelines } from "./apply-pipelines.ts";
import { missingChannels } from "./channels.ts";
import type { CheckedChannel, CheckedJob, CheckedPipeline } from "./file-checker-protocol.ts";
import { inUse, usersOf } from "./job-users.ts";
import { ticksOf } from "./next-ticks.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";
import { scanPrefix } from "./scan.ts";
import { settle } from "./settle.ts";
import { specDiff } from "./spec-diff.ts";
import { submitted } from "./stored-job.ts";
import { createTurns } from "./turns.ts";

export type ApplyRequest = {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly dryRun: boolean;
  readonly prune: boolean;
  readonly group?: string | undefined;
};

/** How many next ticks of each rule are echoed. */
const ECHOED_TICKS = 5;

type Current = { readonly revision: Revision; readonly stored: StoredJob };
/** One job's way from `before` to `after` (undefined: deleted; equal to before: nothing to write). */
type Step = { readonly ref: JobRef; readonly before: Current | undefined; readonly after: StoredJob | undefined; readonly write: boolean };

export async function applyFiles(deps: OpsDeps, request: ApplyRequest): Promise<ApplyResult> {
  const turn = createTurns(deps.clock);
  const checked = await deps.fileChecker.check(request.files, deps.clock.now());
  const jobs = checked.jobs.filter(({ group }) => request.group === undefined || group === request.group);
  const channels = await planChannels(deps, checked.channels);
  const wanted = checked.pipelines.filter(({ group }) => request.group === undefined || group === request.group);
  checkReach(deps, [...jobs, ...wanted], channels);
  await checkChannelNames(deps, jobs, wanted, checked.channels);
  const steps = await plan(deps, jobs, request.prune, turn);
  const pipelines = await planPipelines(deps, wanted, request.prune, jobsAfter(deps, steps));
  checkNotInUse(deps, steps, pipelines);
  const channelRevision = request.dryRun ? undefined : await writeChannels(deps, channels);
  const revisions = request.dryRun ? new Map<string, Revision>() : await write(deps, steps);
  const pipelineRevisions = request.dryRun ? new Map<string, Revision>() : await writePipelines(deps, pipelines);
  const changes = channels.map((step) => describeChannel(step, channelRevision));
  for (const step of steps) {
    changes.push(describe(deps, step, revisions.get(toKey(step.ref))));
    await turn();
  }
  for (const step of pipelines) changes.push(describePipeline(deps, step, pipelineRevisions.get(toKey(step.ref))));
  return { dryRun: request.dryRun, changes };
}

/** All or nothing, also for what the caller may not write. Throws `auth/scope`, `auth/denied`. */
function checkReach(deps: OpsDeps, parts: readonly { readonly group: string }[], channels: readonly ChannelStep[]): void {
  const caller = deps.caller?.();
  if (caller === undefined) return;
  for (const { group } of parts) needGroup(caller, group);
  if (!channels.some(({ after }) => after !== undefined)) return;
  needRole(caller, "admin", "changing channels");
  needCluster(caller, "changing channels");
}

/** Throws `job/in-use` when a job is to be deleted that a pipeline needs which stays as it is. */
function checkNotInUse(deps: OpsDeps, steps: readonly Step[], pipelines: readonly PipelineStep[]): void {
  const changed = new Set(pipelines.map(({ ref }) => toKey(ref)));
  for (const { ref, after } of steps) {
    const users = after === undefined ? usersOf(deps, ref).filter((user) => !changed.has(user)) : [];
    if (users.length > 0) throw inUse(ref, users, "apply the job too, or change these pipelines first");
  }
}

/** Jobs as they will be once the steps are done. */
function jobsAfter(deps: OpsDeps, steps: readonly Step[]): (key: string) => JobSpec | undefined {
  const known = new Map(steps.map(({ ref, after }) => [toKey(ref), after?.spec]));
  return (key) => (known.has(key) ? known.get(key) : deps.views.jobs.get(deps.keys.job(fromKey(key).group, fromKey(key).id))?.stored.spec);
}

/** Throws `input/invalid` when a rule names a channel that is neither there nor in the files. */
async function checkChannelNames(
  deps: OpsDeps,
  jobs: readonly CheckedJob[],
  pipelines: readonly CheckedPipeline[],
  channels: readonly CheckedChannel[],
): Promise<void> {
  const users = [
    ...jobs.map(({ group, id, spec, notifyLines: at }) => ({ path: `jobs.${group}/${id}`, rules: spec.notify, at })),
    ...pipelines.map(({ group, id, spec, notifyLines: at }) => ({ path: `pipelines.${group}/${id}`, rules: spec.notify, at })),
  ];
  const coming = channels.map(({ name }) => name);
  const issues = await missingChannels(deps, users, coming);
  if (issues.length > 0) throw new AppError("input/invalid", "the files name channels that are not there", { issues });
}

async function plan(deps: OpsDeps, jobs: readonly CheckedJob[], prune: boolean, turn: () => Promise<void>): Promise<Step[]> {
  const { keys } = deps;
  const now = toIso(deps.clock.now());
  const found = await readKeys(
    deps.kv,
    jobs.map(({ group, id }) => keys.job(group, id)),
  );
  const steps: Step[] = [];
  for (const { group, id, spec } of jobs) {
    const kv = found.get(keys.job(group, id));
    const before = kv === undefined ? undefined : currentOf(kv);
    const after = submitted({ group, id }, spec, before?.stored, now);
    steps.push({ ref: { group, id }, before, after: after ?? before?.stored, write: after !== undefined });
    await turn();
  }
  if (!prune) return steps;
  for (const group of new Set(jobs.map((job) => job.group))) {
    for await (const kv of scanPrefix(deps.kv, keys.jobsOfGroup(group))) {
      const [, , id = ""] = keys.parts(kv.key);
      if (!found.has(kv.key)) steps.push({ ref: { group, id }, before: currentOf(kv), after: undefined, write: true });
      await turn();
    }
  }
  return steps;
}

function currentOf(kv: KeyValue): Current {
  return { revision: kv.modRevision, stored: decode<StoredJob>(kv.key, kv.value) };
}

async function write(deps: OpsDeps, steps: readonly Step[]): Promise<Map<string, Revision>> {
  const revisions = new Map<string, Revision>();
  let last: Revision | undefined;
  for (const batch of batches(deps, steps)) {
    const { succeeded, revision } = await settle(deps.kv, { if: batch.if, then: batch.then });
    if (!succeeded) throw conflict(await changedMeanwhile(deps, batch.steps), revisions.size);
    last = revision;
    for (const { ref } of batch.steps) revisions.set(toKey(ref), revision);
  }
  if (last !== undefined) await deps.views.jobs.reached(last);
  return revisions;
}

async function changedMeanwhile(deps: OpsDeps, steps: readonly Step[]): Promise<string[]> {
  const keyOf = ({ ref }: Step) => deps.keys.job(ref.group, ref.id);
  const found = await readKeys(deps.kv, steps.map(keyOf));
  return steps.filter((step) => found.get(keyOf(step))?.modRevision !== step.before?.revision).map(({ ref }) => toKey(ref));
}

type WriteBatch = { readonly steps: Step[]; readonly if: Compare[]; readonly then: Op[] };

/** The steps that write, as transactions. One is made when it is asked for, so that making them does not hold everybody up. */
function* batches(deps: Pick<OpsDeps, "keys">, steps: readonly Step[]): Generator<WriteBatch> {
  let batch: WriteBatch = { steps: [], if: [], then: [] };
  let bytes = 0;
  for (const step of steps) {
    if (!step.write) continue;
    const key = deps.keys.job(step.ref.group, step.ref.id);
    const value = step.after === undefined ? undefined : encode(step.after);
    const size = key.length + Buffer.byteLength(value ?? "");
    if (batch.then.length >= MAX_TXN_OPS || (batch.then.length > 0 && bytes + size > MAX_TXN_BYTES)) {
      yield batch;
      batch = { steps: [], if: [], then: [] };
      bytes = 0;
    }
    batch.steps.push(step);
    batch.if.push(step.before === undefined ? absent(key) : unchanged(key, step.before.revision));
    batch.then.push(value === undefined ? { op: "delete", key } : { op: "put", key, value });
    bytes += size;
  }
  if (batch.then.length > 0) yield batch;
}

function conflict(keys: readonly string[], written: number): AppError {
  const issues: Issue[] = keys.map((key) => ({ path: `jobs.${key}`, message: "was changed by somebody else meanwhile" }));
  const before = written === 0 ? "nothing was written" : `${written} jobs had been written before`;
  return new AppError("write/conflict", `${keys.length === 1 ? "a job was" : `${keys.length} jobs were`} changed meanwhile; ${before}`, {
    issues,
    hint: "apply again: it compares anew and completes what is missing",
  });
}

function describe(deps: OpsDeps, step: Step, revision: Revision | undefined): ApplyChange {
  const { ref, before, after } = step;
  const action = after === undefined ? "deleted" : before === undefined ? "created" : step.write ? "updated" : "unchanged";
  const diff = step.write ? specDiff(before?.stored.spec, after?.spec) : [];
  const written = revision ?? (step.write ? undefined : before?.revision);
  return {
    key: toKey(ref),
    action,
    ...(diff.length === 0 ? {} : { diff }),
    ...(after === undefined ? {} : { rules: rulesOf(deps, after) }),
    ...(written === undefined ? {} : { revision: written }),
  };
}

function rulesOf(deps: OpsDeps, stored: StoredJob): { id: string; words: string; next: string[] }[] {
  const job = compileJob({ ...stored, revision: 0 }, stored.spec satisfies JobSpec);
  return job.rules.map((rule) => {
    const times = deps.timetable.of(job, rule);
    return { id: rule.id, words: times.words, next: ticksOf(times, deps.clock.now(), ECHOED_TICKS) };
  });
}
