/** Cuts between hosts, both ways or one way, of any subset; slow and lossy links. */
import { hostsOf } from "../cast.ts";
import type { ChaosFleet } from "../fleet.ts";
import type { Pair } from "../net/net.ts";
import type { Fault, Strike } from "./fault.ts";

/** Some hosts are cut from all others: `both` ways, or only what they send (`out`), or only what they are sent (`in`). */
const partition: Fault = {
  name: "partition",
  family: "network",
  available: () => undefined,
  draw(chance, cast) {
    const ways = ["both", "both", "out", "in"];
    const touches = chance.flip(0.6)
      ? chance.sample(cast.agents, chance.int(1, 3))
      : chance.flip(0.5)
        ? [chance.flip(0.5) ? "leader" : chance.pick(cast.members)]
        : [...chance.sample(cast.agents, chance.int(0, 2)), chance.pick(cast.masters)];
    return { touches, forMs: chance.int(1000, 18_000), how: { ways: chance.pick(ways) } };
  },
  inject: async (fleet, { touches, how }) => cutAll(fleet, touches, others(fleet, touches), how.ways),
};

/** Two random halves of everything; one of them has the majority of etcd. */
const halves: Fault = {
  name: "halves",
  family: "network",
  available: (fleet) => (fleet.net.kind === "namespaces" ? undefined : "members of etcd cannot be cut from one another over proxies"),
  draw(chance, cast) {
    const touches = [...chance.sample(cast.agents, 2), ...chance.sample(cast.masters, 1), ...chance.sample(cast.members, 1)];
    return { touches, forMs: chance.int(3000, 15_000), how: { ways: "both" } };
  },
  inject: async (fleet, { touches, how }) => cutAll(fleet, touches, others(fleet, touches), how.ways),
};

/** No member of etcd hears another: nobody leads, nothing is written. */
const quorumCut: Fault = {
  name: "quorum-cut",
  family: "network",
  available: halves.available,
  draw: (chance, cast) => ({ touches: cast.members, forMs: chance.int(2000, 12_000), how: {} }),
  async inject(fleet, { touches }) {
    const pairs = touches.flatMap((one) => touches.filter((two) => two !== one).map((two) => [one, two] as const));
    await fleet.net.cut(pairs);
    return () => fleet.net.mend(pairs);
  },
};

const slow: Fault = {
  name: "slow",
  family: "slowness",
  available: () => undefined,
  draw(chance, cast) {
    const touches = chance.flip(0.6) ? chance.sample(cast.agents, chance.int(1, 3)) : [chance.pick([...cast.members, ...cast.masters])];
    const how = { delayMs: chance.pick([0, 50, 200, 600]), lossPercent: chance.pick([0, 2, 10, 25]) };
    return { touches, forMs: chance.int(3000, 18_000), how };
  },
  async inject({ net }, { touches, how }) {
    const slowness = { delayMs: Number(how.delayMs), lossPercent: Number(how.lossPercent) };
    await Promise.all(touches.map((host) => net.slow(host, slowness)));
    return async () => void (await Promise.all(touches.map((host) => net.slow(host, undefined))));
  },
};

export const NETWORK_FAULTS: readonly Fault[] = [partition, halves, quorumCut, slow];

function others(fleet: ChaosFleet, touches: readonly string[]): string[] {
  return hostsOf(fleet.cast).filter((host) => !touches.includes(host));
}

async function cutAll(
  { net }: Pick<ChaosFleet, "net">,
  some: readonly string[],
  rest: readonly string[],
  ways: Strike["how"][string] | undefined,
): Promise<() => Promise<void>> {
  const pairs = some.flatMap((one) =>
    rest.flatMap((other): Pair[] => [
      ...(ways === "in" ? [] : [[one, other] as const]),
      ...(ways === "out" ? [] : [[other, one] as const]),
    ]),
  );
  await net.cut(pairs);
  return () => net.mend(pairs);
}
