/** Spawners and session hosts outlive their agents; what tests have started must not outlive the tests. */
import { readdirSync } from "node:fs";
import { isAlive, textOf, until } from "./processes.ts";

/** The pids of the spawners whose sockets are in this folder. */
export function spawnersOf(folder: string): number[] {
  return programsOf(/spawner\/main\.[jt]s$/, folder);
}

/** Likewise of session hosts. */
export function sessionHostsOf(folder: string): number[] {
  return programsOf(/runners\/main\.[jt]s$/, folder);
}

function programsOf(main: RegExp, folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const args = textOf(`/proc/${pid}/cmdline`).split("\0");
      return args.some((arg) => main.test(arg)) && args.includes(folder) && isAlive(pid);
    });
}

/** Kills the spawners of this folder with all that they have started; resolves when they are gone. */
export async function endSpawners(folder: string): Promise<void> {
  const pids = killSpawners(folder);
  await until("the spawners are gone", () => !pids.some(isAlive));
}

/** Likewise, without waiting. */
export function killSpawners(folder: string): number[] {
  const pids = [...spawnersOf(folder), ...sessionHostsOf(folder)];
  for (const pid of pids) {
    const tree = descendants(pid);
    // First the parent, which would only start or report more.
    for (const each of [pid, ...tree]) kill(each);
  }
  return pids;
}

/** All below a process, from one look at /proc: a spawner may have thousands of children. */
export function descendants(pid: number): number[] {
  const children = Map.groupBy(
    readdirSync("/proc").filter((name) => /^\d+$/.test(name)),
    (name) => Number(/^PPid:\s+(\d+)$/m.exec(textOf(`/proc/${name}/status`))?.[1]),
  );
  const below = (parent: number): number[] => (children.get(parent) ?? []).map(Number).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
