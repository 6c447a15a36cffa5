/** Randomness comes in as a dependency; the only file that draws it. */
import { randomBytes } from "node:crypto";

export type Random = {
  /** Uniform in [0, 1). */
  next(): number;
  bytes(count: number): Uint8Array;
};

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
};
