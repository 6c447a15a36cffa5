/** Pipelines on the real fleet: how soon a task follows the one before it, and how many runs come to their end. */
import { systemClock } from "fleetcron-shared/base/clock";
import type { PipelineSpec } from "fleetcron-shared/model/pipeline/pipeline-spec";
import { prefixRange } from "fleetcron-shared/store/kv";
import { eventually } from "../support/fleet.ts";
import { type BenchFleet, quantile } from "./bench-fleet.ts";

const TASKS = 5;
/** Runs that are asked for at the same time. */
const AT_ONCE = 20;
const CHAIN = 51;
const PATIENCE_MS = 600_000;

export type HandOver = { readonly p50: number; readonly p95: number; readonly max: number; readonly count: number };

/**
 * From the first stamp of one task's process to the first stamp of the next one's. A stamping process ends within a fraction of a millisecond, so
 * that is its end, and the next process's begin.
 */
export async function measureHandOver(fleet: BenchFleet, runs: number): Promise<HandOver> {
  const gaps: number[] = [];
  for (let round = 0; round < runs; round++) {
    const file = `chain-${round}`;
    const ref = { group: "bench", id: file };
    const run = { command: { argv: [fleet.stamp, `${fleet.folder}/${file}`], cwd: "/" } };
    const tasks = Array.from({ length: CHAIN }, (_, i) => ({ name: `t${i}`, job: { run } }));
    await store(fleet, file, { stages: [{ name: "chain", tasks }] });
    await fleet.api.runPipeline(ref, {});
    await eventually(
      "the chain has ended",
      async () => fleet.stamps(file).length === CHAIN && (await unfinished(fleet)) === 0,
      PATIENCE_MS,
    );
    const times = fleet.stamps(file).map(({ atMs }) => atMs);
    for (const [index, atMs] of times.slice(1).entries()) gaps.push(atMs - (times[index] ?? Number.NaN));
    await fleet.api.deletePipeline(ref);
  }
  return { p50: quantile(gaps, 0.5), p95: quantile(gaps, 0.95), max: Math.max(...gaps), count: gaps.length };
}

export type ManyRuns = { readonly perSecond: number; readonly slowestMs: number; readonly succeeded: number; readonly starts: number };

/** `slowestMs`: from when a run was asked for to its end, while all the others want the same. `starts`: of processes; each task wants one. */
export async function measureManyRuns(fleet: BenchFleet, count: number): Promise<ManyRuns> {
  const ref = { group: "bench", id: "many" };
  const run = { command: { argv: [fleet.stamp, `${fleet.folder}/many`], cwd: "/" } };
  const tasks = Array.from({ length: TASKS }, (_, i) => ({ name: `t${i}`, job: { run } }));
  await store(fleet, ref.id, { stages: [{ name: "all", tasks }], retain: { count: 1000 } });
  const begunAt = systemClock.mono();
  for (let at = 0; at < count; at += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, () => fleet.api.runPipeline(ref, {})));
  await eventually("every run has come to its end", async () => (await unfinished(fleet)) === 0, PATIENCE_MS);
  const tookMs = systemClock.mono() - begunAt;
  const { items } = await fleet.api.pipelineRuns({ pipeline: "bench/many", limit: 1000 });
  const ended = items.filter(({ state }) => state === "succeeded");
  const slowestMs = Math.max(...ended.map((one) => Date.parse(one.endedAt ?? "") - Date.parse(one.createdAt)));
  await fleet.api.deletePipeline(ref);
  return { perSecond: (count / tookMs) * 1000, slowestMs, succeeded: ended.length, starts: fleet.stamps("many").length };
}

async function store(fleet: BenchFleet, id: string, spec: PipelineSpec): Promise<void> {
  await fleet.api.apply({ files: [{ name: "bench.json", text: JSON.stringify({ pipelines: { [`bench/${id}`]: spec } }) }] });
}

/** How many runs are not over. */
async function unfinished({ kv }: BenchFleet): Promise<number> {
  return (await kv.range({ ...prefixRange("/fleetcron/unfinished/"), countOnly: true })).count;
}
