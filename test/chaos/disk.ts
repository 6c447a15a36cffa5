/** A small disk of a host (tmpfs) and its filling. Mounts carry the run's folder in their path, so that a later run finds what a crash has left. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type FilledDisk, filledDisk } from "../support/small-disk.ts";
import { run, works } from "./net/commands.ts";

export const FOLDER = "/tmp/fleetcron-chaos-";
const BYTES = 64 * 1024 * 1024;

/** Mounts it on an empty folder; undefined where that is not permitted. */
export function mountSmallDisk(folder: string): FilledDisk | undefined {
  return works(["mount", "-t", "tmpfs", "-o", `size=${BYTES},mode=0755`, "tmpfs", folder]) ? filledDisk(folder) : undefined;
}

/** Unmounts what is mounted below the folder of a run. */
export function unmountBelow(folder: string): void {
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [, path = ""] = line.split(" ");
    if (path.startsWith(join(folder, "/"))) run(["umount", "-l", path]);
  }
}

/** Removes the disks of runs that are no more; their folders stay for whoever wants to look. */
export function reapDisks(isOn: (pid: number) => boolean): void {
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [, path = ""] = line.split(" ");
    const pid = Number(new RegExp(`^${FOLDER}(\\d+)-`).exec(path)?.[1]);
    if (!Number.isNaN(pid) && !isOn(pid)) works(["umount", "-l", path]);
  }
}

export function removeFolder(folder: string): void {
  unmountBelow(folder);
  rmSync(folder, { recursive: true, force: true });
}
