/** Ids of runs that are made of what starts them, so that the same wish is the same run whoever sees it first, and as often as it is seen. */
import { createHash } from "node:crypto";
import type { EpochMs } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";

/** Sorts among other ids by `atMs`. */
export function runIdFrom(atMs: EpochMs, ...causes: readonly string[]): string {
  const bytes = createHash("sha256").update(JSON.stringify(causes)).digest();
  const random = { bytes: (size: number) => bytes.subarray(0, size), next: () => 0 };
  return createIdSource({ clock: { now: () => atMs }, random })();
}
