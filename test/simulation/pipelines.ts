/** Pipelines of a simulated fleet: two shapes, run now and then by people and by a timer. Their tasks have jobs of their own. */
import type { PipelineSpec, TaskSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { OpsDeps } from "../../packages/master/src/ops/ops-deps.ts";
import { deletePipeline, putPipeline } from "../../packages/master/src/ops/pipelines.ts";
import { runPipeline } from "../../packages/master/src/ops/run-pipeline.ts";
import type { Dice } from "./random.ts";

const GROUP = "sim";

export function drawPipelines(dice: Dice): Readonly<Record<string, PipelineSpec>> {
  const habit = { shortMs: dice.pick([500, 5000]), longMs: 60_000, longShare: dice.pick([0, 0.2]), failShare: dice.pick([0, 0.05, 0.2]) };
  const job = { run: { command: { argv: ["/bin/simulated"] } }, env: { HABIT: JSON.stringify(habit) } };
  const task = (name: string, more: Partial<TaskSpec> = {}): TaskSpec => ({ name, job, ...more });
  return {
    stages: {
      stages: [
        { name: "first", parallel: true, tasks: [task("a"), task("b", { forEachNode: true }), task("c")] },
        { name: "second", parallel: false, tasks: [task("d", { sameNodeAs: "a" }), task("e")] },
      ],
      ...(dice.chance(0.5) ? { onFailure: "failFast" as const } : {}),
    },
    graph: {
      tasks: [task("w"), task("x", { needs: ["w"] }), task("y", { needs: ["w"] }), task("z", { needs: ["x", "y"] })],
      triggers: [{ name: "tick", rule: { timer: dice.pick(["*/4 * * * *", "*/9 * * * *"]) } }],
    },
  };
}

export async function createPipelines(ops: OpsDeps, specs: Readonly<Record<string, PipelineSpec>>): Promise<void> {
  for (const [id, spec] of Object.entries(specs)) await putPipeline(ops, { group: GROUP, id }, spec, undefined);
}

export async function runOne(ops: OpsDeps): Promise<void> {
  await runPipeline(ops, { group: GROUP, id: "stages" }, { params: {}, labels: {}, trigger: "manual", by: "people" });
}

/** What runs goes on to its end. */
export async function endPipelines(ops: OpsDeps): Promise<void> {
  for (const [, { stored }] of [...ops.views.pipelines.entries()]) await deletePipeline(ops, { group: GROUP, id: stored.id }, undefined);
}
