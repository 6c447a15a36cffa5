/** POST …/run sent → first instruction of the process, one order at a time. */
import { eventually } from "../support/fleet.ts";
import { type BenchFleet, quantile } from "./bench-fleet.ts";

/** `name` tells several measurements of one fleet apart. */
export async function measureOrders(fleet: BenchFleet, count: number, name = "orders"): Promise<{ p50: number; p99: number; max: number }> {
  await fleet.apply({ "order/j": fleet.stampJob(name, "order") });
  await eventually(
    "the job has reached the agent",
    async () => (await fleet.api.job({ group: "order", id: "j" })).acknowledged?.nodes === 1,
  );
  const latencies: number[] = [];
  for (let i = 0; i < count; i++) {
    const sentMs = performance.timeOrigin + performance.now();
    await fleet.api.runJob({ group: "order", id: "j" }, {});
    const stamp = await eventually("the ordered process has begun", async () => fleet.stamps(name)[i]);
    latencies.push(stamp.atMs - sentMs);
  }
  await fleet.removeAll();
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), max: Math.max(...latencies) };
}
