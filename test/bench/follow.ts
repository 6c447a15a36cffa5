/** A process writes a line → the reader of server-sent events has it, by way of the agent's poll, etcd and a master. */
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { type BenchFleet, quantile } from "./bench-fleet.ts";

const EVERY_MS = 137;

/** Each line carries the time at which it was written. */
export async function measureFollow(fleet: BenchFleet, lines: number): Promise<{ p50: number; p95: number; max: number }> {
  const program = `let n=0;const w=()=>{process.stdout.write(Date.now()+"\\n");if(++n<${lines})setTimeout(w,${EVERY_MS})};setTimeout(w,2000)`;
  const job: JobSpec = { run: { command: { argv: [process.execPath, "-e", program] } }, rules: [{ mode: "cycle", timer: "0 0 1 1 *" }] };
  await fleet.apply({ "follow/j": job });
  const { orders } = await fleet.api.runJob({ group: "follow", id: "j" }, {});
  const latencies: number[] = [];
  for await (const event of fleet.api.followLog(orders[0]?.execution ?? "", {}, undefined, new AbortController().signal)) {
    const now = systemClock.now();
    for (const line of String(event.bytes).split("\n")) if (line !== "") latencies.push(now - Number(line));
  }
  await fleet.removeAll();
  return { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95), max: Math.max(...latencies) };
}
