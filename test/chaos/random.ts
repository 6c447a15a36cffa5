/** A seeded source of chance (mulberry32): the same seed draws the same run, on any machine. */
import { hash32 } from "fleetcron-shared/base/hash";

export type Chance = {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number in [from, to]. */
  int(from: number, to: number): number;
  /** One of them; throws for an empty list. */
  pick<T>(list: readonly T[]): T;
  /** `count` different ones, in a random order. */
  sample<T>(list: readonly T[], count: number): T[];
  /** True with this probability. */
  flip(probability: number): boolean;
};

/** Draws for one purpose: another `purpose` of the same seed draws independently of how much was drawn before. */
export function chance(seed: number, purpose: string): Chance {
  let state = hash32(`${seed}/${purpose}`);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  function sample<T>(list: readonly T[], count: number): T[] {
    const rest = [...list];
    return Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(int(0, rest.length - 1), 1)[0] as T);
  }
  return {
    next,
    int,
    sample,
    pick(list) {
      const [one] = sample(list, 1);
      if (one === undefined) throw new Error("there is nothing to pick from");
      return one;
    },
    flip: (probability) => next() < probability,
  };
}
