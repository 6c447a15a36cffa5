/** Which faults strike when: drawn from the seed alone. Pure. Chaos comes in rounds; each ends with everything healed and some quiet, in which the fleet converges. */
import { type Cast, hostsOf } from "./cast.ts";
import type { Fault, Strike } from "./faults/fault.ts";
import { chance } from "./random.ts";

/** Times are milliseconds since the run began. */
export type Planned = Strike & { readonly fault: string; readonly atMs: number };
export type Round = { readonly fromMs: number; readonly healMs: number; readonly untilMs: number; readonly strikes: readonly Planned[] };

/** At the end of each round: the time to converge, and some more to see that it stays so. */
export const QUIET_MS = 24_000;
const ROUND_MS = 100_000;
const MOST_AT_ONCE = 4;
/** Families of which only one strike is on at a time. */
const ALONE = new Set(["masters", "members", "network", "slowness"]);

type Drawn = Pick<Fault, "name" | "family" | "draw">;

export function drawPlan(seed: number, options: { seconds: number; faults: readonly Drawn[]; cast: Cast }): Round[] {
  const { faults, cast } = options;
  const totalMs = options.seconds * 1000;
  const count = Math.max(1, Math.round(totalMs / ROUND_MS));
  const familyOf = new Map(faults.map(({ name, family }) => [name, family]));
  const draws = chance(seed, "faults");
  return Array.from({ length: count }, (_, index) => {
    const fromMs = Math.round((index * totalMs) / count);
    const untilMs = Math.round(((index + 1) * totalMs) / count);
    const healMs = untilMs - QUIET_MS;
    const strikes: Planned[] = [];
    let atMs = fromMs + draws.int(1000, 3000);
    while (faults.length > 0 && atMs < healMs - 1000) {
      const fault = draws.pick(faults);
      const strike = fault.draw(draws, cast);
      const planned = { ...strike, fault: fault.name, atMs, forMs: Math.min(strike.forMs, healMs - atMs) };
      if (!strikes.some((other) => meets(planned, other, familyOf, cast)) && on(strikes, atMs) < MOST_AT_ONCE) strikes.push(planned);
      atMs += draws.int(400, 3500);
    }
    return { fromMs, healMs, untilMs, strikes };
  });
}

function on(strikes: readonly Planned[], atMs: number): number {
  return strikes.filter((strike) => isOn(strike, atMs)).length;
}

const isOn = (strike: Planned, atMs: number) => strike.atMs + strike.forMs > atMs;

/** Whether both may not be on at once. */
function meets(planned: Planned, other: Planned, familyOf: ReadonlyMap<string, string>, cast: Cast): boolean {
  // Healing takes time, too.
  if (!isOn(other, planned.atMs - 1500)) return false;
  const [one = "", two = ""] = [planned, other].map(({ fault }) => familyOf.get(fault));
  const ofEtcd = (strike: Planned) => strike.touches.some((host) => host === "leader" || cast.members.includes(host));
  if (one === two) return ALONE.has(one) || planned.touches.some((host) => other.touches.includes(host));
  return [one, two].includes("members") && ofEtcd(planned) && ofEtcd(other);
}

/** Checks the words of a strike: hosts of the cast, or one that is chosen when it strikes. */
export function isTouchable(word: string, cast: Cast): boolean {
  return word === "leader" || word === "leading" || hostsOf(cast).includes(word);
}
