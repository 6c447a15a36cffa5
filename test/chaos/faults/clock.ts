/** Wall clocks that step: ahead, back, and to the true time again at the heal. Monotonic clocks are not touched, as on a real host. */
import { existsSync, globSync } from "node:fs";
import type { Fault } from "./fault.ts";

/** The largest step; the checker allows runs as early as this. */
export const MAX_STEP_MS = 5000;

const clockStep: Fault = {
  name: "clock",
  family: "clocks",
  available: () =>
    existsSync("/usr/bin/faketime") && globSync("/usr/lib/*/faketime/libfaketime.so.1").length > 0
      ? undefined
      : "there is no libfaketime (Debian: faketime)",
  draw(chance, cast) {
    const size = chance.pick([200, 1000, 2000, MAX_STEP_MS]);
    const offsetMs = chance.flip(0.5) ? size : -size;
    return { touches: [chance.pick(cast.clocked)], forMs: chance.int(3000, 25_000), how: { offsetMs } };
  },
  async inject(fleet, { touches: [host = ""], how }) {
    fleet.setClock(host, Number(how.offsetMs));
    return async () => void fleet.setClock(host, 0);
  },
};

export const CLOCK_FAULTS: readonly Fault[] = [clockStep];
