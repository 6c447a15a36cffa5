/** What every family of faults offers. Drawing is pure, so that a seed names a run; injecting and healing are deeds on the fleet. */
import type { Cast } from "../cast.ts";
import type { ChaosFleet } from "../fleet.ts";
import type { Chance } from "../random.ts";

/** One drawn fault. */
export type Strike = {
  /** Hosts that it touches, or a word that is resolved when it strikes: `leader` (of etcd), `leading` (master). */
  readonly touches: readonly string[];
  readonly forMs: number;
  /** Its parameters. */
  readonly how: Readonly<Record<string, string | number>>;
};

export type Fault = {
  readonly name: string;
  /** Strikes of one family do not meet on one host; of masters, members, network and slowness only one is on at a time. */
  readonly family: "agents" | "masters" | "members" | "network" | "slowness" | "clocks" | "disks";
  /** Why it cannot be done here; undefined: it can. */
  available(fleet: ChaosFleet): string | undefined;
  draw(chance: Chance, cast: Cast): Strike;
  /** `strike.touches` are hosts by now. Returns its heal, which resolves when the fault is over (not when the fleet has recovered). */
  inject(fleet: ChaosFleet, strike: Strike): Promise<() => Promise<void>>;
};

/** The hosts behind the words. */
export async function resolveTouches(fleet: ChaosFleet, touches: readonly string[]): Promise<string[]> {
  const resolved = touches.map((word) => (word === "leader" ? leadingMember(fleet) : word === "leading" ? leadingMaster(fleet) : word));
  return [...new Set(await Promise.all(resolved))];
}

/** The member that leads etcd now, or the first. */
function leadingMember(fleet: ChaosFleet): Promise<string> {
  return fleet.etcd.leader().then(
    ({ name }) => name,
    () => fleet.cast.members[0] ?? "",
  );
}

/** The master that leads now, or the first. */
async function leadingMaster(fleet: ChaosFleet): Promise<string> {
  const found = await fleet.kv.get(fleet.keys.leader).catch(() => undefined);
  const name = found === undefined ? "" : (JSON.parse(found.value) as { master: string }).master;
  return fleet.cast.masters.find((master) => master === name) ?? fleet.cast.masters[0] ?? "";
}
