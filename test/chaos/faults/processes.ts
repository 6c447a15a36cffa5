/** Processes that are killed and stopped: agents, spawners, whole hosts, masters. A killed daemon is started again at the heal, as its service manager would. */
import type { Chance } from "../random.ts";
import type { Fault, Strike } from "./fault.ts";

const seconds = (chance: Chance, from: number, to: number) => chance.int(from * 1000, to * 1000);
const always = () => undefined;

const agentKill: Fault = {
  name: "agent-kill",
  family: "agents",
  available: always,
  draw: (chance, cast) => ({ touches: [chance.pick(cast.agents)], forMs: chance.flip(0.3) ? 500 : seconds(chance, 1, 20), how: {} }),
  async inject(fleet, { touches: [agent = ""] }) {
    await fleet.kept(agent).kill();
    return () => fleet.kept(agent).revive();
  },
};

/** Its event loop is stalled, or it seems dead: past its session or not. */
const agentStop: Fault = {
  name: "agent-stop",
  family: "agents",
  available: always,
  draw: (chance, cast) => ({
    touches: [chance.pick(cast.agents)],
    forMs: chance.flip(0.5) ? seconds(chance, 1, 3) : seconds(chance, 3, 18),
    how: {},
  }),
  inject: async (fleet, { touches: [agent = ""] }) => stop(() => [fleet.kept(agent).daemon.pid]),
};

/** A suspended virtual machine: agent, spawner and commands. */
const hostStop: Fault = {
  name: "host-stop",
  family: "agents",
  available: always,
  draw: (chance, cast) => ({ touches: [chance.pick(cast.agents)], forMs: seconds(chance, 1, 15), how: {} }),
  inject: async (fleet, { touches: [agent = ""] }) => stop(() => fleet.pidsOf(agent)),
};

const spawnerKill: Fault = {
  name: "spawner-kill",
  family: "agents",
  available: always,
  draw: (chance, cast) => ({ touches: [chance.pick(cast.agents)], forMs: 1000, how: {} }),
  async inject(fleet, { touches: [agent = ""] }) {
    for (const pid of fleet.spawners(agent)) signal(pid, "SIGKILL");
    return async () => {};
  },
};

const agentAndSpawnerKill: Fault = {
  name: "agent-and-spawner-kill",
  family: "agents",
  available: always,
  draw: (chance, cast) => ({ touches: [chance.pick(cast.agents)], forMs: seconds(chance, 1, 12), how: {} }),
  async inject(fleet, { touches: [agent = ""] }) {
    const pids = fleet.spawners(agent);
    const killed = fleet.kept(agent).kill();
    for (const pid of pids) signal(pid, "SIGKILL");
    await killed;
    return () => fleet.kept(agent).revive();
  },
};

const drawMaster: Fault["draw"] = (chance, cast): Strike => ({
  touches: [chance.flip(0.7) ? "leading" : chance.pick(cast.masters)],
  forMs: seconds(chance, 1, 12),
  how: {},
});

const masterKill: Fault = {
  name: "master-kill",
  family: "masters",
  available: always,
  draw: drawMaster,
  async inject(fleet, { touches: [master = ""] }) {
    await fleet.kept(master).kill();
    return () => fleet.kept(master).revive();
  },
};

const masterStop: Fault = {
  name: "master-stop",
  family: "masters",
  available: always,
  draw: drawMaster,
  inject: async (fleet, { touches: [master = ""] }) => stop(() => [fleet.kept(master).daemon.pid]),
};

export const PROCESS_FAULTS: readonly Fault[] = [agentKill, agentStop, hostStop, spawnerKill, agentAndSpawnerKill, masterKill, masterStop];

/** Freezes what `pids` gives, also what was started while it looked; the heal lets exactly those go on. */
export function stop(pids: () => number[]): () => Promise<void> {
  const frozen = new Set<number>();
  for (let round = 0; round < 3; round++) {
    for (const pid of pids()) {
      if (!frozen.has(pid)) signal(pid, "SIGSTOP");
      frozen.add(pid);
    }
  }
  return async () => {
    for (const pid of frozen) signal(pid, "SIGCONT");
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  if (pid <= 0) return;
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}
