/** Pipelines: find, list, put, delete. */
import { isDeepStrictEqual } from "node:util";
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import { suggest } from "fleetcron-shared/base/suggest";
import { toIssue } from "fleetcron-shared/base/zod-issues";
import { parsePipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-check";
import type { PipelineSpec, StoredPipeline } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { absent, type Revision, unchanged } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { PipelinePage, PipelineView } from "../http/pipeline-schema.ts";
import { type JobRef, toKey } from "../job-ref.ts";
import { type PipelineEntry, pipelineEntry } from "../views.ts";
import { missingChannels } from "./channels.ts";
import { checkTriggersNow } from "./check-triggers.ts";
import { checkRevision, conditionOf } from "./if-revision.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { pageByKey } from "./page.ts";
import { putUnder, settle } from "./settle.ts";

type PipelineDeps = Pick<OpsDeps, "kv" | "keys" | "views" | "clock">;

/** As etcd has it now; throws `pipeline/not-found`. */
export async function findPipeline(deps: Pick<PipelineDeps, "kv" | "keys" | "views">, ref: JobRef): Promise<PipelineEntry> {
  const kv = await deps.kv.get(deps.keys.pipeline(ref.group, ref.id));
  if (kv !== undefined) return pipelineEntry(kv);
  const near = suggest(
    toKey(ref),
    [...deps.views.pipelines.entries()].map(([, { stored }]) => toKey(stored)),
  );
  throw new AppError(
    "pipeline/not-found",
    `there is no pipeline ${toKey(ref)}`,
    near === undefined ? {} : { hint: `did you mean ${near}?` },
  );
}

export function listPipelines(
  deps: Pick<PipelineDeps, "views">,
  query: { group?: string | undefined } & Parameters<typeof pageByKey>[2],
): PipelinePage {
  const all = [...deps.views.pipelines.entries()].map(([, entry]) => entry);
  const wanted = all.filter(({ stored }) => query.group === undefined || stored.group === query.group);
  const { items, ...rest } = pageByKey(wanted, ({ stored }) => toKey(stored), query);
  return { ...rest, items: items.map(pipelineView) };
}

/** Creates or replaces the pipeline; `ifRevision` 0 means that it must not exist. Throws `input/invalid`, `write/conflict`. */
export async function putPipeline(deps: PipelineDeps, ref: JobRef, value: unknown, ifRevision: number | undefined): Promise<PipelineView> {
  const spec = parsePipelineSpec(ref.group, ref.id, value);
  const path = `pipelines.${toKey(ref)}`;
  const wrong = (await checkTriggersNow(deps, ref, spec)).map((issue) => toIssue(issue, ["pipelines", toKey(ref)]));
  const issues = [...wrong, ...(await missingChannels(deps, [{ path, rules: spec.notify }]))];
  if (issues.length > 0) throw new AppError("input/invalid", `the pipeline ${toKey(ref)} is not accepted`, { issues });
  const key = deps.keys.pipeline(ref.group, ref.id);
  const before = await deps.kv.get(key);
  const changed = () =>
    new AppError("write/conflict", `pipeline ${toKey(ref)} was changed by somebody else`, { hint: "read it again and repeat the change" });
  if (ifRevision !== undefined && ifRevision !== (before?.modRevision ?? 0)) throw changed();
  const entry = before === undefined ? undefined : pipelineEntry(before);
  const stored = storedPipeline(ref, spec, entry?.stored, toIso(deps.clock.now()));
  if (stored === undefined && entry !== undefined) return pipelineView(entry);
  if (stored === undefined) throw new AppError("internal/bug", "a new pipeline came out as unchanged");
  const revision = await putUnder(deps.kv, before === undefined ? absent(key) : unchanged(key, before.modRevision), key, encode(stored));
  if (revision === undefined) throw changed();
  await deps.views.pipelines.reached(revision);
  return pipelineView({ stored, revision });
}

/** Its runs go on, and stay until they are too old. */
export async function deletePipeline(deps: PipelineDeps, ref: JobRef, ifRevision?: Revision): Promise<string> {
  const key = deps.keys.pipeline(ref.group, ref.id);
  const result = await settle(deps.kv, {
    if: [conditionOf(key, ifRevision)],
    then: [
      { op: "delete", key },
      { op: "delete", key: deps.keys.streak(ref.group, ref.id) },
    ],
  });
  if (!result.succeeded) checkRevision(`pipeline ${toKey(ref)}`, ifRevision, (await findPipeline(deps, ref)).revision);
  await deps.views.pipelines.reached(result.revision);
  return toKey(ref);
}

/** What to store; undefined when that would change nothing. */
export function storedPipeline(
  ref: JobRef,
  spec: PipelineSpec,
  before: StoredPipeline | undefined,
  now: string,
): StoredPipeline | undefined {
  if (before !== undefined && isDeepStrictEqual(before.spec, spec)) return undefined;
  return { v: 1, group: ref.group, id: ref.id, createdAt: before?.createdAt ?? now, updatedAt: now, spec };
}

export function pipelineView({ stored, revision }: PipelineEntry): PipelineView {
  const { v: _, ...view } = stored;
  return { ...view, revision };
}
