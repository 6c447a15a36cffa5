/** Runs that have left etcd, or will: what the history adds to what etcd tells (find-run.ts). The history away: etcd alone. */
import { isCode } from "fleetcron-shared/base/errors";
import { isRunEnd, type RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { reaches } from "../caller.ts";
import type { PipelineRunPage, PipelineRunView } from "../http/pipeline-schema.ts";
import { findRun, listRuns, type RunDeps, type RunQuery, runSummary, runView } from "./find-run.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { fromCursor, isText, toCursor } from "./page.ts";
import { scanPrefix } from "./scan.ts";

type ShowDeps = RunDeps & Pick<OpsDeps, "archive" | "caller">;

/** One run, wherever it is; throws `pipeline/no-run`. */
export async function showRun(deps: ShowDeps, id: string, pipeline: string | undefined): Promise<PipelineRunView> {
  const kept = await deps.archive?.read((history) => history.run(id));
  const isKept = kept !== undefined && isVisible(deps, kept.run) && (pipeline === undefined || pipelineOf(kept.run) === pipeline);
  try {
    return (await findRun(deps, id, pipeline ?? (isKept ? pipelineOf(kept.run) : undefined))).view;
  } catch (error) {
    if (isKept && isCode(error, "pipeline/no-run")) return runView(kept.run, kept.plan);
    throw error;
  }
}

/** Newest first, by when they were asked for. */
export async function listAllRuns(deps: ShowDeps, query: RunQuery): Promise<PipelineRunPage> {
  const held = await listRuns(deps, query);
  const { archive, kv, keys } = deps;
  const { pipeline, state, limit } = query;
  if (archive === undefined || state === "unfinished" || (state !== undefined && !isRunEnd(state))) return held;
  const end = held.next === undefined ? "" : (held.items.at(-1)?.id ?? "");
  const inEtcd = new Set<string>();
  for await (const { key } of scanPrefix(kv, keys.runs, { keysOnly: true })) inEtcd.add(key.slice(key.lastIndexOf("/") + 1));
  const added: RunDocument[] = [];
  let before = fromCursor(query.cursor, isText) ?? "~";
  for (let more = true; more && added.length <= limit; ) {
    const page = await archive.read((history) => history.runs({ pipeline, state, before, limit: limit + 1 }));
    before = page?.at(-1)?.id ?? "";
    more = page !== undefined && page.length > limit && before > end;
    // One that etcd holds is told as it is there: it may have been run again.
    added.push(...(page ?? []).filter((run) => !inEtcd.has(run.id) && run.id > end && isVisible(deps, run)));
  }
  const all = [...held.items, ...added.map(runSummary)].sort((a, b) => (a.id > b.id ? -1 : 1));
  const items = all.slice(0, limit);
  const last = items.at(-1);
  return last !== undefined && (all.length > limit || held.next !== undefined) ? { items, next: toCursor(last.id) } : { items };
}

function isVisible({ caller }: ShowDeps, run: RunDocument): boolean {
  const who = caller?.();
  return who === undefined || reaches(who, run.group);
}

function pipelineOf(run: RunDocument): string {
  return `${run.group}/${run.pipeline}`;
}
