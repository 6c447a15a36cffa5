/**
 * Makes jobs what files say. Everything is checked before anything is written; jobs that stay the same are not written; each write is
 * conditional on the job being as it was read. Up to some hundred changes are one transaction; beyond that, a conflict in a later transaction is reported
 * with what has been written already, and applying again completes it.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError, type Issue } from "fleetcron-shared/base/errors";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { meaningAt, type ParsedJob, parseJobFiles } from "fleetcron-shared/model/job-file";
import type { JobSpec, StoredJob } from "fleetcron-shared/model/job-spec";
import { absent, type Compare, MAX_TXN_BYTES, MAX_TXN_OPS, type Op, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { decode, encode } from "fleetcron-shared/wire/codec";
import type { ApplyChange, ApplyResult } from "../http/api-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { ticksOf } from "./next-ticks.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";
import { scanPrefix } from "./scan.ts";
import { specDiff } from "./spec-diff.ts";
import { submitted } from "./stored-job.ts";

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
  const parsed = parseJobFiles(request.files, meaningAt(deps.clock.now())).filter(
    ({ group }) => request.group === undefined || group === request.group,
  );
  const steps = await plan(deps, parsed, request.prune);
  const revisions = request.dryRun ? new Map<string, Revision>() : await write(deps, steps);
  return { dryRun: request.dryRun, changes: steps.map((step) => describe(deps, step, revisions.get(toKey(step.ref)))) };
}

async function plan(deps: OpsDeps, parsed: readonly ParsedJob[], prune: boolean): Promise<Step[]> {
  const { keys } = deps;
  const now = toIso(deps.clock.now());
  const found = await readKeys(
    deps.kv,
    parsed.map(({ group, id }) => keys.job(group, id)),
  );
  const steps = parsed.map(({ group, id, spec }): Step => {
    const kv = found.get(keys.job(group, id));
    const before = kv === undefined ? undefined : { revision: kv.modRevision, stored: decode<StoredJob>(kv.key, kv.value) };
    const after = submitted({ group, id }, spec, before?.stored, now);
    return { ref: { group, id }, before, after: after ?? before?.stored, write: after !== undefined };
  });
  if (!prune) return steps;
  const named = new Set(parsed.map(toKey));
  for (const group of new Set(parsed.map((job) => job.group))) {
    for await (const kv of scanPrefix(deps.kv, keys.jobsOfGroup(group))) {
      const [, , id = ""] = keys.parts(kv.key);
      if (named.has(toKey({ group, id }))) continue;
      steps.push({
        ref: { group, id },
        before: { revision: kv.modRevision, stored: decode<StoredJob>(kv.key, kv.value) },
        after: undefined,
        write: true,
      });
    }
  }
  return steps;
}

async function write(deps: OpsDeps, steps: readonly Step[]): Promise<Map<string, Revision>> {
  const revisions = new Map<string, Revision>();
  let last: Revision | undefined;
  for (const batch of batches(
    deps,
    steps.filter((step) => step.write),
  )) {
    const result = await deps.kv.txn({
      if: batch.if,
      then: batch.then,
      else: batch.steps.map(({ ref }) => ({ op: "get", key: deps.keys.job(ref.group, ref.id) })),
    });
    if (!result.succeeded) {
      const changed = batch.steps.filter(({ before }, position) => {
        const read = result.results[position];
        return read?.op === "get" && read.kv?.modRevision !== before?.revision;
      });
      throw conflict(
        changed.map(({ ref }) => toKey(ref)),
        revisions.size,
      );
    }
    last = result.revision;
    for (const { ref } of batch.steps) revisions.set(toKey(ref), result.revision);
  }
  if (last !== undefined) await deps.views.jobs.reached(last);
  return revisions;
}

type WriteBatch = { readonly steps: Step[]; readonly if: Compare[]; readonly then: Op[]; bytes: number };

function batches(deps: Pick<OpsDeps, "keys">, steps: readonly Step[]): WriteBatch[] {
  const made: WriteBatch[] = [];
  for (const step of steps) {
    const key = deps.keys.job(step.ref.group, step.ref.id);
    const value = step.after === undefined ? undefined : encode(step.after);
    const size = key.length + Buffer.byteLength(value ?? "");
    let batch = made.at(-1);
    if (batch === undefined || batch.then.length >= MAX_TXN_OPS || batch.bytes + size > MAX_TXN_BYTES) {
      batch = { steps: [], if: [], then: [], bytes: 0 };
      made.push(batch);
    }
    batch.steps.push(step);
    batch.if.push(step.before === undefined ? absent(key) : unchanged(key, step.before.revision));
    batch.then.push(value === undefined ? { op: "delete", key } : { op: "put", key, value });
    batch.bytes += size;
  }
  return made;
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
