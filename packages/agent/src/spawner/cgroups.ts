/**
 * A cgroup (v2) per run where the host lets us make them: a kill that misses nobody, and a limit of memory that holds for the whole tree. Nowhere writable:
 * everything here quietly does nothing, and trees are found by session, descent and mark (processes.ts).
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { RunId } from "./protocol.ts";

const FOLDER = "fleetcron";
/** systemd puts the unit's own processes into such a leaf (`DelegateSubgroup=agent`), so that its parent may hold others. */
const OWN_LEAF = "agent";

/** After a run that leaves processes behind, so many folders of earlier ones are looked at again. */
const LOOK_AGAIN = 3;

export type Cgroups = {
  /** Makes the cgroup of a run, or finds that of an earlier spawner, and puts these processes into it; undefined where that is not possible. */
  enter(id: RunId, pids: () => readonly number[]): string | undefined;
  /** Makes a cgroup with a limit of memory that a process can be started in; undefined where memory is not ours to limit. */
  limited(id: RunId, memoryBytes: number): string | undefined;
  /** The run has ended: its cgroup goes, at once or when what the run has left in it is gone too. */
  leave(path: string): void;
};

/** Whether runs get cgroups where the host has them. */
export type CgroupUse = "auto" | "off";

/** `base`: the folder for our cgroups; undefined where there is none. */
export function openCgroups(base: string | undefined): Cgroups {
  const folder = base === undefined ? undefined : join(base, FOLDER);
  const usable = folder !== undefined && attempt(() => mkdirSync(folder, { recursive: true })) && sweep(folder);
  // Refused where the base holds processes of its own, and then perhaps done by somebody else.
  if (usable) attempt(() => writeFileSync(join(dirname(folder), "cgroup.subtree_control"), "+memory"));
  const hasMemory = usable && attempt(() => writeFileSync(join(folder, "cgroup.subtree_control"), "+memory"));
  const make = (id: RunId) => {
    const path = join(folder ?? "", id);
    return usable && attempt(() => mkdirSync(path, { recursive: true })) ? path : undefined;
  };
  let inhabited: string[] = [];
  return {
    enter(id, pids) {
      const path = make(id);
      if (path !== undefined) for (const pid of pids()) attempt(() => writeFileSync(join(path, "cgroup.procs"), String(pid)));
      return path;
    },
    limited(id, memoryBytes) {
      const path = hasMemory ? make(id) : undefined;
      if (path === undefined) return undefined;
      attempt(() => writeFileSync(join(path, "memory.swap.max"), "0"));
      attempt(() => writeFileSync(join(path, "memory.oom.group"), "1"));
      return attempt(() => writeFileSync(join(path, "memory.max"), String(memoryBytes))) ? path : undefined;
    },
    leave(path) {
      const due = [path, ...inhabited.slice(0, LOOK_AGAIN)];
      inhabited = [...inhabited.slice(LOOK_AGAIN), ...due.filter((each) => !attempt(() => rmdirSync(each)))];
    },
  };
}

/** Kills all that is in it, at once and for good. */
export function killCgroup(path: string): void {
  attempt(() => writeFileSync(join(path, "cgroup.kill"), "1"));
}

export function pidsOfCgroup(path: string): number[] {
  return read(join(path, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
}

/** How often the kernel has killed in it because its memory was used up. */
export function oomKillsOf(path: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(read(join(path, "memory.events")))?.[1] ?? 0);
}

/** How often the kernel has killed for want of memory, on the whole host. */
export function oomKillsOfHost(): number {
  return Number(/^oom_kill (\d+)$/m.exec(read("/proc/vmstat"))?.[1] ?? 0);
}

/** Where this process may have cgroups of its own. */
export function findCgroupBase(): string | undefined {
  const mount = /^\S+ (\S+) cgroup2 (?=rw)/m.exec(read("/proc/mounts"))?.[1];
  const own = /^0::(.*)$/m.exec(read("/proc/self/cgroup"))?.[1];
  if (mount === undefined || own === undefined) return undefined;
  const path = join(mount, own);
  return basename(path) === OWN_LEAF ? dirname(path) : path;
}

/** What an earlier process of ours left and could not remove, because something lived on in it. */
function sweep(folder: string): boolean {
  return attempt(() => {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) attempt(() => rmdirSync(join(folder, entry.name)));
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function attempt(fn: () => void): boolean {
  try {
    fn();
    return true;
  } catch {
    return false;
  }
}
