/** What the runs of the pipeline planned, witnessed and say. */
import { scanPrefix } from "fleetcron/ops/scan";
import type { PipelineHistory, TaskEvidence } from "fleetcron-shared/check/history";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import type { ChaosFleet } from "../fleet.ts";
import { PIPELINE, PIPELINE_NEEDS } from "../traffic/jobs.ts";
import { refOf } from "../traffic/traffic.ts";

export async function pipelineHistory(fleet: ChaosFleet, evidence: readonly TaskEvidence[]): Promise<PipelineHistory> {
  const { group, id } = refOf(PIPELINE);
  const runs: RunDocument[] = [];
  for await (const { value } of scanPrefix(fleet.kv, fleet.keys.runsOf(group, id))) runs.push(JSON.parse(value) as RunDocument);
  return {
    tasks: runs.flatMap((run) => Object.entries(PIPELINE_NEEDS).map(([task, needs]) => ({ run: run.id, task, needs }))),
    evidence,
    verdicts: runs.flatMap((run) => Object.entries(run.tasks).map(([task, { attempt, state }]) => ({ run: run.id, task, attempt, state }))),
  };
}
