/** Spawners outlive their agents; what tests have started must not outlive the tests. */
import { readdirSync } from "node:fs";
import { childrenOf, isAlive, textOf, until } from "./processes.ts";

/** The pids of the spawners whose sockets are in this folder. */
export function spawnersOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const args = textOf(`/proc/${pid}/cmdline`).split("\0");
      return args.some((arg) => /spawner\/main\.[jt]s$/.test(arg)) && args.includes(folder) && isAlive(pid);
    });
}

/** Kills the spawners of this folder with all that they have started; resolves when they are gone. */
export async function endSpawners(folder: string): Promise<void> {
  const pids = killSpawners(folder);
  await until("the spawners are gone", () => !pids.some(isAlive));
}

/** Likewise, without waiting. */
export function killSpawners(folder: string): number[] {
  const pids = spawnersOf(folder);
  for (const pid of pids) {
    const tree = descendants(pid);
    // First the parent, which would only start or report more.
    for (const each of [pid, ...tree, ...descendants(pid)]) kill(each);
  }
  return pids;
}

function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
