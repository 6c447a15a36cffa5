/** Chance by seed: the same seed draws the same, and each part draws from a stream of its own, so that one more draw in one part changes no other. */
import { hash32 } from "fleetcron-shared/base/hash";
import type { Random } from "fleetcron-shared/base/random";

export type Dice = Random & {
  /** An integer in [from, to]. */
  int(from: number, to: number): number;
  chance(share: number): boolean;
  pick<T>(from: readonly T[]): T;
  /** Exponentially distributed. */
  about(mean: number): number;
  fork(name: string): Dice;
};

export function createDice(seed: number | string): Dice {
  let [a, b, c, d] = [hash32(`${seed}a`), hash32(`${seed}b`), hash32(`${seed}c`), 1];

  /** sfc32. */
  function next(): number {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  }
  for (let i = 0; i < 12; i++) next();

  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    bytes: (count) => Uint8Array.from({ length: count }, () => int(0, 255)),
    int,
    chance: (share) => next() < share,
    pick: (from) => from[int(0, from.length - 1)] as (typeof from)[number],
    about: (mean) => -Math.log(1 - next()) * mean,
    fork: (name) => createDice(`${seed}/${name}`),
  };
}
