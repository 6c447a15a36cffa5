/** Ours, as `npm run bench` measures it: `fleetcron up` with etcd on disk, one master, one agent, everything through REST. */
import { readdirSync, readFileSync } from "node:fs";
import { eventually } from "../../support/fleet.ts";
import type { BenchFleet } from "../bench-fleet.ts";
import { measureBurst } from "../burst.ts";
import { measureOrders } from "../orders.ts";
import { factsOf } from "../process-facts.ts";
import { measureSkew } from "../skew.ts";
import type { Peer } from "./peer.ts";

const APPLY_AT_ONCE = 1000;

/** The fleet stays its starter's. */
export function fleetcronPeer(fleet: BenchFleet): Peer {
  return {
    name: "Fleetcron",
    what: "`fleetcron up`: etcd on disk (each write synchronised), one master, one agent; memory is that of all four processes, the spawner included",
    skew: (round, ticks) => measureSkew(fleet, { name: `peers-${round}`, jobs: 1, everySeconds: 1, instants: ticks }),
    orders: (round, count) => measureOrders(fleet, count, `orders-${round}`),
    burst: async (round, count) => (await measureBurst(fleet, count, round)).ours,
    memory: () => factsOf(...programsIn(fleet.folder)).residentBytes,
    async hold(count) {
      for (let from = 0; from < count; from += APPLY_AT_ONCE) {
        const numbers = Array.from({ length: Math.min(APPLY_AT_ONCE, count - from) }, (_, i) => from + i);
        await fleet.apply(Object.fromEntries(numbers.map((i) => [`held/j${i}`, fleet.stampJob("held", `j${i}`)])));
      }
      const last = { group: "held", id: `j${count - 1}` };
      await eventually("the last job has reached the agent", async () => (await fleet.api.job(last)).acknowledged?.nodes === 1, 120_000);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Every process whose command line names the folder: what a fleet that lives there consists of. */
function programsIn(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(`${folder}/up`);
      } catch {
        return false;
      }
    })
    .map(Number);
}
