/** 100,000 jobs in one agent: from the start of its process to ready, and its memory then. The dispatches are written beside the master. */
import { systemClock } from "fleetcron-shared/base/clock";
import type { Dispatch } from "fleetcron-shared/model/facts";
import type { Op } from "fleetcron-shared/store/kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { startAgentProcess } from "../support/agent.ts";
import { type BenchFleet, residentMb } from "./bench-fleet.ts";

export async function measureLoad(fleet: BenchFleet, jobs: number): Promise<{ readyMs: number; residentMb: number; valueBytes: number }> {
  const keys = createKeys("/bench-load");
  const now = new Date(systemClock.now()).toISOString();
  let valueBytes = 0;
  for (let from = 0; from < jobs; from += 100) {
    const ops: Op[] = Array.from({ length: Math.min(100, jobs - from) }, (_, offset) => {
      const value = JSON.stringify(dispatch(from + offset, now));
      valueBytes += value.length;
      return { op: "put", key: keys.dispatch("load", `g${(from + offset) % 100}`, `job-${from + offset}`), value };
    });
    await fleet.kv.txn({ then: ops });
  }
  const startedMono = systemClock.mono();
  await using agent = await startAgentProcess({ etcd: [fleet.etcd], nodeId: "load", folder: fleet.folder, prefix: "/bench-load" });
  const readyMs = systemClock.mono() - startedMono;
  const resident = residentMb(agent.pid);
  await fleet.kv.txn({ then: [{ op: "deleteRange", key: "/bench-load/", end: "/bench-load0" }] });
  return { readyMs, residentMb: resident, valueBytes: valueBytes / jobs };
}

/** 500 expressions, as many jobs of a real fleet have: minutes and hours, a zone, a timeout, retries. None is due soon. */
function dispatch(number: number, now: string): Dispatch {
  const expression = number % 500;
  return {
    v: 1,
    group: `g${number % 100}`,
    id: `job-${number}`,
    revision: number + 1,
    createdAt: now,
    updatedAt: now,
    submittedAt: now,
    spec: {
      name: `job number ${number}`,
      run: { command: { script: `/usr/local/bin/do-something --number ${number} --quiet` } },
      rules: [
        {
          mode: "cycle",
          timer: `${expression % 60} ${Math.floor(expression / 60)} 1 1 *`,
          timezone: "Europe/Berlin",
          target: { labels: { role: "db" } },
        },
      ],
      timeout: "1h",
      retry: { limit: 2, delay: "1m" },
    },
    rules: { r1: [] },
  };
}
