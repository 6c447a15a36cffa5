/**
 * Signals to process groups, safe against reused pids: a group is known by its leader's pid and start time.
 * A pid number is not given out again while a group of that number has members, so "the leader is ours or is gone" is enough.
 */
import { closeSync, openSync, readSync } from "node:fs";

/** Start time of a process in clock ticks since boot, or undefined when there is no such process. */
export function startTicksOf(pid: number): number | undefined {
  const stat = readProcStat(pid);
  if (stat === undefined) return undefined;
  // The name (2nd field) may hold anything, also spaces and brackets; the start time is the 20th field after it.
  const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ", 20)[19]);
  return Number.isFinite(ticks) ? ticks : undefined;
}

/** Sends `signal` to the group that the process (pid, startTicks) leads or led; false when the group is gone. Signal 0 only asks. */
export function signalGroup(pid: number, startTicks: number | undefined, signal: NodeJS.Signals | 0): boolean {
  const ticks = startTicksOf(pid);
  if (ticks !== undefined && ticks !== startTicks) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // EPERM: members exist, but all belong to a user that we may not signal.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function readProcStat(pid: number): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(`/proc/${pid}/stat`, "r");
    const buffer = Buffer.allocUnsafe(512);
    return buffer.toString("latin1", 0, readSync(fd, buffer));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
