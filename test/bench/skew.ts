/** Due time → first instruction of the process, for one job and for a hundred at the same instant. */

import { eventually } from "../support/fleet.ts";
import { type BenchFleet, quantile } from "./bench-fleet.ts";

export type Skew = { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number };

/** `name` tells several measurements of one fleet apart. */
export async function measureSkew(
  fleet: BenchFleet,
  options: { name: string; jobs: number; everySeconds: number; instants: number },
): Promise<Skew> {
  const file = `skew-${options.name}`;
  const timer = options.everySeconds === 1 ? "* * * * * *" : `*/${options.everySeconds} * * * * *`;
  await fleet.apply(
    Object.fromEntries(Array.from({ length: options.jobs }, (_, i) => [`skew/j${i}`, fleet.stampJob(file, `j${i}`, timer)])),
  );
  const wanted = options.jobs * (options.instants + 1);
  await eventually("all stamps", async () => fleet.stamps(file).length >= wanted, (options.instants + 30) * options.everySeconds * 1000);
  await fleet.removeAll();
  const first = Math.min(...fleet.stamps(file).map((stamp) => stamp.dueMs));
  const skews = fleet
    .stamps(file)
    .filter((stamp) => stamp.dueMs > first)
    .map((stamp) => stamp.atMs - stamp.dueMs);
  return { count: skews.length, p50: quantile(skews, 0.5), p99: quantile(skews, 0.99), max: Math.max(...skews) };
}
