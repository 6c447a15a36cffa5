/** Executions that sleep, many at once: what they cost in memory, and how soon the next agent has them after the one before was killed. */
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import type { Alive, Dispatch } from "fleetcron-shared/model/facts";
import type { Op } from "fleetcron-shared/store/kv";
import { createKeys } from "fleetcron-shared/wire/keys";
import { startAgentProcess } from "../support/agent.ts";
import { eventually } from "../support/fleet.ts";
import { spawnersOf } from "../support/spawners.ts";
import { type BenchFleet, residentMb } from "./bench-fleet.ts";

export type Adoption = {
  /** Agent and spawner together. */
  readonly idleMb: number;
  readonly runningMb: number;
  /** From the start of the next agent process until it is ready, and until it shows all executions as its own. */
  readonly readyMs: number;
  readonly adoptedMs: number;
  /** Whether the agent's session was the same before and after the burst of starts, with a lease of five seconds. */
  readonly keptSession: boolean;
};

const NODE = "adopt";
const PREFIX = "/bench-adopt";

export async function measureAdoption(fleet: Pick<BenchFleet, "kv" | "etcd" | "folder">, count: number): Promise<Adoption> {
  const { kv, etcd, folder } = fleet;
  const keys = createKeys(PREFIX);
  await using agent = await startAgentProcess({
    ...{ etcd: [etcd], nodeId: NODE, folder, prefix: PREFIX, sessionTtl: "5s" },
    args: ["--capacity", String(count)],
  });
  const memory = () => [agent.pid, ...spawnersOf(join(folder, `data-${NODE}`, "spawner"))].reduce((sum, pid) => sum + residentMb(pid), 0);
  const alive = async () => {
    const found = await kv.get(keys.alive(NODE));
    return found && { ...(JSON.parse(found.value) as Alive), session: found.createRevision };
  };
  const all = () => eventually("all of them run", async () => (await alive())?.running === count, 60_000);
  const idleMb = memory();
  const before = await alive();
  const dueMs = Math.ceil(systemClock.now() / 1000) * 1000 + 2000 + count;
  for (let from = 0; from < count; from += 100) {
    const ops: Op[] = Array.from({ length: Math.min(100, count - from) }, (_, offset) => {
      const value = JSON.stringify(dispatch(from + offset, dueMs));
      return { op: "put", key: keys.dispatch(NODE, "sleep", `j${from + offset}`), value };
    });
    await kv.txn({ then: ops });
  }
  await all();
  const runningMb = memory();
  const keptSession = before?.session === (await alive())?.session;
  await agent.kill();
  const startedMono = systemClock.mono();
  await agent.restart();
  const readyMs = systemClock.mono() - startedMono;
  await all();
  const adoptedMs = systemClock.mono() - startedMono;
  await kv.txn({ then: [{ op: "deleteRange", key: `${PREFIX}/`, end: `${PREFIX}0` }] });
  return { idleMb, runningMb, readyMs, adoptedMs, keptSession };
}

function dispatch(number: number, dueMs: number): Dispatch {
  const at = new Date(systemClock.now()).toISOString();
  return {
    ...{ v: 1, group: "sleep", id: `j${number}`, revision: number + 1, createdAt: at, updatedAt: at, submittedAt: at },
    spec: {
      run: { command: { argv: ["/bin/sleep", "1000"], cwd: "/" } },
      rules: [{ mode: "cycle", timer: `@at ${new Date(dueMs).toISOString()}` }],
    },
    rules: { r1: [] },
  };
}
