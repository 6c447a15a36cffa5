/** What is wrong with a pipeline's triggers that its file alone does not tell: the pipelines that it follows, timers whose time has passed. */
import { suggest } from "fleetcron-shared/base/suggest";
import type { ShapeIssue } from "fleetcron-shared/base/zod-issues";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { checkNeverDue } from "fleetcron-shared/model/pipeline/trigger-check";
import { fromKey, type JobRef, toKey } from "../job-ref.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { readKeys } from "./read-keys.ts";

/** Paths begin inside the pipeline. `coming`: pipelines that are about to be. */
export async function checkTriggersNow(
  deps: Pick<OpsDeps, "kv" | "keys" | "views" | "clock">,
  ref: JobRef,
  spec: PipelineSpec,
  coming: ReadonlySet<string> = new Set(),
): Promise<ShapeIssue[]> {
  const { keys, views } = deps;
  const followed = (spec.triggers ?? []).flatMap(({ pipeline }, index) =>
    pipeline === undefined ? [] : [{ index, after: pipeline.after }],
  );
  const keyOf = (name: string) => keys.pipeline(fromKey(name).group, fromKey(name).id);
  const unknown = followed.filter(({ after }) => !coming.has(after) && views.pipelines.get(keyOf(after)) === undefined);
  const found = await readKeys(
    deps.kv,
    unknown.map(({ after }) => keyOf(after)),
  );
  const issues = unknown.flatMap(({ index, after }): ShapeIssue[] => {
    if (found.get(keyOf(after)) !== undefined) return [];
    const near = suggest(after, new Set([...coming, ...[...views.pipelines.entries()].map(([, { stored }]) => toKey(stored))]));
    const hint = near === undefined ? "apply it too, or before" : `did you mean "${near}"?`;
    return [{ path: ["triggers", index, "pipeline", "after"], message: `there is no pipeline ${after}`, hint }];
  });
  return [...issues, ...checkNeverDue(ref.group, ref.id, spec, deps.clock.now())];
}
