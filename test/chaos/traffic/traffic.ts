/** What people do meanwhile: edits, pauses, orders, kills, runs of a pipeline; each drawn by the seed and noted with its answer. */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { type EpochMs, systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { readEvidence } from "../check/evidence.ts";
import type { ChaosFleet } from "../fleet.ts";
import { type Chance, chance } from "../random.ts";
import { chaosJobs, chaosPipeline, PIPELINE } from "./jobs.ts";

/** `doneMs` absent: nobody has answered, so it may have happened or not. */
export type Deed = {
  readonly what: "edit" | "pause" | "resume" | "order" | "kill" | "pipeline" | "cancel";
  /** A job, an execution, or a run. */
  readonly on: string;
  readonly fromMs: EpochMs;
  readonly untilMs: EpochMs;
  readonly ok: boolean;
  /** Executions that were ordered. */
  readonly executions?: readonly string[];
  readonly error?: string;
};

export type Traffic = {
  readonly deeds: readonly Deed[];
  readonly specs: Readonly<Record<string, JobSpec>>;
  /** Runs of the pipeline that were asked for and answered. */
  runs(): readonly string[];
  /** Nothing new from now on; resolves when the last deed has its answer and nothing is paused. */
  rest(): Promise<void>;
  /** Goes on. */
  go(): void;
};

const MOVING = ["m/common", "m/interval", "m/alone"];
const ORDERED = ["o/common", "o/alone", "i/slow", "c/tick", "a/queue"];

/** Applies the jobs and begins. */
export async function startTraffic(fleet: ChaosFleet, seed: number): Promise<Traffic> {
  const specs = chaosJobs(fleet.evidence);
  const [first = ""] = fleet.cast.masters;
  const files = [{ name: "chaos.json", text: JSON.stringify({ jobs: specs, pipelines: { [PIPELINE]: chaosPipeline(fleet.evidence) } }) }];
  await fleet.api(first).apply({ files });
  const draws = chance(seed, "traffic");
  const deeds: Deed[] = [];
  const runs: string[] = [];
  const paused = new Set<string>();
  let on: AbortController | undefined;
  let turning: Promise<void> = Promise.resolve();

  /** Does it through some master; a lost answer is asked for again under the same key where the API has one. */
  async function deed(
    what: Deed["what"],
    target: string,
    act: (api: ReturnType<ChaosFleet["api"]>) => Promise<readonly string[]>,
  ): Promise<boolean> {
    const fromMs = systemClock.now();
    const master = draws.pick(fleet.cast.masters);
    const done = await act(fleet.api(master)).then(
      (executions): Partial<Deed> & { ok: boolean } => ({ ok: true, executions }),
      (thrown: unknown) => ({ ok: false, error: String(thrown) }),
    );
    const noted: Deed = { what, on: target, fromMs, untilMs: systemClock.now(), ...done };
    deeds.push(noted);
    appendFileSync(join(fleet.folder, "deeds.jsonl"), `${JSON.stringify({ at: new Date(fromMs).toISOString(), master, ...noted })}\n`);
    return noted.ok;
  }

  const acts: Record<string, (draws: Chance) => Promise<unknown>> = {
    async edit() {
      const job = draws.pick(MOVING);
      const spec = { ...specs[job], env: { EDIT: String(deeds.length) } };
      await deed("edit", job, async (api) => {
        await api.apply({ files: [{ name: "edit.json", text: JSON.stringify({ jobs: { [job]: spec } }) }] });
        return [];
      });
    },
    async pause() {
      const job = draws.pick(MOVING);
      await deed("pause", job, async (api) => {
        await api.pauseJob(refOf(job));
        return [];
      });
      paused.add(job);
      await systemClock.sleep(draws.int(500, 6000), on?.signal);
      for (let tries = 0; tries < 3 && !(await resume(job)); tries++) await systemClock.sleep(1000);
    },
    order: () => {
      const job = draws.pick(ORDERED);
      const node = job === "o/common" ? { node: draws.pick(fleet.cast.agents) } : {};
      const key = `order-${seed}-${deeds.length}-${systemClock.now()}`;
      return deed("order", job, async (api) => (await api.runJob(refOf(job), node, key)).orders.map(({ execution }) => execution));
    },
    async kill() {
      const going = readEvidence(fleet.evidence).filter(({ endMs }) => endMs === undefined);
      const target = going.findLast(({ job }) => /^(a\/long|a\/replace|c\/replace|i\/slow|c\/queue)$/.test(job));
      if (target === undefined) return;
      await deed("kill", target.execution, async (api) => {
        await api.killExecution(target.execution, { reason: "chaos" });
        return [];
      });
    },
    pipeline: () => {
      const key = `run-${seed}-${deeds.length}-${systemClock.now()}`;
      return deed("pipeline", PIPELINE, async (api) => {
        runs.push((await api.runPipeline(refOf(PIPELINE), {}, key)).id);
        return [];
      });
    },
    async cancel() {
      const run = runs.at(-1);
      if (run === undefined) return;
      await deed("cancel", run, async (api) => {
        await api.cancelRun(run, {});
        return [];
      });
    },
  };
  const weights = ["edit", "edit", "pause", "order", "order", "order", "kill", "kill", "pipeline", "pipeline", "cancel"];

  const resume = (job: string) =>
    deed("resume", job, async (api) => {
      await api.resumeJob(refOf(job));
      paused.delete(job);
      return [];
    });

  async function turn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await acts[draws.pick(weights)]?.(draws);
      await systemClock.sleep(draws.int(800, 4000), signal);
    }
  }

  const go = () => {
    on = new AbortController();
    const { signal } = on;
    turning = turning.then(() => turn(signal));
  };
  return {
    deeds,
    specs,
    runs: () => runs,
    go,
    async rest() {
      on?.abort();
      await turning;
      for (let tries = 0; paused.size > 0 && tries < 60; tries++) {
        for (const job of paused) if (!(await resume(job))) await systemClock.sleep(500);
      }
    },
  };
}

export function refOf(key: string): { group: string; id: string } {
  const [group = "", id = ""] = key.split("/");
  return { group, id };
}
