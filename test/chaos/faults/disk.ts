/** The data folder of an agent is full: by others, to the last block or nearly. */
import type { Fault } from "./fault.ts";

const diskFull: Fault = {
  name: "disk-full",
  family: "disks",
  available: (fleet) =>
    fleet.cast.smallDisks.some((host) => fleet.disk(host) === undefined) ? "file systems may not be mounted here" : undefined,
  draw: (chance, cast) => ({
    touches: [chance.pick(cast.smallDisks)],
    forMs: chance.int(2000, 15_000),
    how: { restBytes: chance.pick([0, 64 * 1024, 2 * 1024 * 1024]) },
  }),
  async inject(fleet, { touches: [host = ""], how }) {
    fleet.disk(host)?.fill(Number(how.restBytes));
    return async () => fleet.disk(host)?.empty();
  },
};

export const DISK_FAULTS: readonly Fault[] = [diskFull];
