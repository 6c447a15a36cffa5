/** Ids that are made of what they stand for, so that the same wish has the same id whoever sees it first, and as often as it is seen. */
import { createHash } from "node:crypto";
import type { EpochMs } from "./clock.ts";
import { createIdSource } from "./ids.ts";

/** Sorts among other ids by `atMs`. */
export function stableId(atMs: EpochMs, ...causes: readonly string[]): string {
  const bytes = createHash("sha256").update(JSON.stringify(causes)).digest();
  const random = { bytes: (size: number) => bytes.subarray(0, size), next: () => 0 };
  return createIdSource({ clock: { now: () => atMs }, random })();
}
