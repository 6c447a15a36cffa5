/** Twenty executions that print 10 MB/s each, and what that does to the start of another job. */
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { eventually } from "../support/fleet.ts";
import type { BenchFleet } from "./bench-fleet.ts";
import { measureSkew, type Skew } from "./skew.ts";

const MIB_PER_TENTH_SECOND = "while :; do head -c 1048576 /dev/zero; sleep 0.1; done";

export async function measureWriters(fleet: BenchFleet, options: { writers: number; instants: number }): Promise<Skew> {
  const job: JobSpec = {
    run: { command: { script: MIB_PER_TENTH_SECOND } },
    rules: [{ mode: "cycle", timer: "0 0 1 1 *" }],
    log: { maxBytes: "16MiB" },
  };
  const names = Array.from({ length: options.writers }, (_, i) => `w${i}`);
  await fleet.apply(Object.fromEntries(names.map((name) => [`writers/${name}`, job])));
  const orders = await Promise.all(names.map((id) => fleet.api.runJob({ group: "writers", id }, {})));
  await eventually("all write", async () => (await fleet.api.procs({})).items.length === options.writers);
  const skew = await measureSkew(fleet, { name: "beside-writers", jobs: 1, everySeconds: 1, instants: options.instants });
  for (const { orders: placed } of orders) for (const { execution } of placed) await fleet.api.killExecution(execution, {});
  await eventually("none writes", async () => (await fleet.api.procs({})).items.length === 0);
  return skew;
}
