/** A thousand executions due at one instant, beside a C loop that starts as many of the same program with posix_spawn. */
import { execFileSync } from "node:child_process";
import { systemClock } from "fleetcron-shared/base/clock";
import { eventually } from "../support/fleet.ts";
import type { BenchFleet } from "./bench-fleet.ts";

export type Burst = { readonly ours: number; readonly limit: number; readonly lastMs: number; readonly writes: number };

/** So long before the due time the jobs are given; longer where that was too short. */
const LEAD_MS = 4000;
const MAX_LEAD_MS = 30_000;

/** `ours`: starts per second from the due time to the last process's first instruction. `writes`: etcd transactions per execution, master included. */
export async function measureBurst(fleet: BenchFleet, count: number, round: number): Promise<Burst> {
  const limitFile = `${fleet.folder}/limit-${round}`;
  const limit = () => Number(execFileSync(fleet.spawnLoop, [String(count), "16", fleet.stamp, limitFile]).toString());
  const before = limit();
  let leadMs = LEAD_MS;
  let given = await giveJobs(fleet, count, `burst-${round}-${leadMs}`, leadMs);
  while (systemClock.now() > given.dueMs - 500) {
    if (leadMs > MAX_LEAD_MS) throw new Error("the jobs come too late to the agent; the machine is too busy");
    await fleet.removeAll();
    leadMs *= 2;
    given = await giveJobs(fleet, count, `burst-${round}-${leadMs}`, leadMs);
  }
  const { file, dueMs } = given;
  const revisionBefore = await settledRevision(fleet);
  await eventually("every process has begun", async () => fleet.stamps(file).length === count, 60_000);
  const lastMs = Math.max(...fleet.stamps(file).map((stamp) => stamp.atMs)) - dueMs;
  const revisionAfter = await settledRevision(fleet);
  const after = limit();
  await fleet.removeAll();
  return { ours: (count / lastMs) * 1000, limit: (before + after) / 2, lastMs, writes: (revisionAfter - revisionBefore) / count };
}

/** The jobs, known to the agent; it may be past their due time by then. */
async function giveJobs(fleet: BenchFleet, count: number, file: string, leadMs: number): Promise<{ file: string; dueMs: number }> {
  const dueMs = Math.ceil(systemClock.now() / 1000) * 1000 + leadMs;
  const timer = `@at ${new Date(dueMs).toISOString()}`;
  await fleet.apply(Object.fromEntries(Array.from({ length: count }, (_, i) => [`burst/j${i}`, fleet.stampJob(file, `j${i}`, timer)])));
  await eventually(
    "the jobs have reached the agent",
    async () => (await fleet.api.job({ group: "burst", id: `j${count - 1}` })).acknowledged?.nodes === 1,
  );
  return { file, dueMs };
}

/** The store's revision once nothing is on its way any more. */
async function settledRevision(fleet: BenchFleet): Promise<number> {
  await eventually(
    "every record is filed",
    async () => (await fleet.kv.range({ start: "/fleetcron/inbox/", end: "/fleetcron/inbox0", countOnly: true })).count === 0,
    60_000,
  );
  return (await fleet.kv.range({ start: "/fleetcron/meta", end: "/fleetcron/meta0" })).revision;
}
