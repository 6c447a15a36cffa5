/** Starting pipelines on a real master and looking at their runs. */
import type { PipelineRunView } from "fleetcron/http/pipeline-schema";
import type { PipelineSpec, TaskSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { eventually } from "./fleet.ts";
import type { MasterProcess } from "./master.ts";

const job = { run: { command: { script: "true" } } };

export const task = (name: string, more: Partial<TaskSpec> = {}): TaskSpec => ({ name, job, ...more });
export const hasEnded = (run: PipelineRunView): boolean => run.state !== "queued" && run.state !== "active";
export const statesOf = (run: PipelineRunView) => Object.fromEntries(run.tasks.map(({ name, state }) => [name, state]));
export const taskOfRun = (run: PipelineRunView, name: string) => run.tasks.find((one) => one.name === name);

type Asks = Pick<MasterProcess, "ask" | "log">;

/** Stores the pipeline and starts a run of it; returns the run's id. */
export async function startRun(master: Asks, spec: PipelineSpec, body: object = {}, pipeline = "g/p"): Promise<string> {
  const put = await master.ask("PUT", `/pipelines/${pipeline}`, { spec });
  if (put.status !== 200) throw new Error(JSON.stringify(put.body));
  const run = await master.ask<PipelineRunView>("POST", `/pipelines/${pipeline}/run`, body);
  if (run.status !== 200) throw new Error(JSON.stringify(run.body));
  return run.body.id;
}

/** The run, once it is as it is waited for. */
export async function runUntil(
  master: Asks,
  id: string,
  what: string,
  holds: (run: PipelineRunView) => boolean,
  limitMs?: number,
): Promise<PipelineRunView> {
  let last: unknown;
  const looked = eventually(
    what,
    async () => {
      const { status, body } = await master.ask<PipelineRunView>("GET", `/runs/${id}`);
      last = body;
      return status === 200 && holds(body) ? body : undefined;
    },
    limitMs,
  );
  return looked.catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}\n${master.log().slice(-4000)}`);
  });
}
