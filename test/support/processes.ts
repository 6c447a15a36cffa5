/** What tests look at in the kernel and on disk: processes, their groups, log files. Waiting is for facts, with a limit. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";

const POLL_MS = 5;

/** Resolves with the first value that is not undefined or false; throws when there is none within `limitMs`. */
export async function until<T>(what: string, look: () => T | undefined | false, limitMs = 20_000): Promise<T> {
  const end = systemClock.mono() + limitMs;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (systemClock.mono() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}

/** State letter of a process (R, S, T, Z …), or undefined when it does not exist. */
export function processState(pid: number): string | undefined {
  return statFields(pid)?.[0];
}

/** Exists and is no zombie. */
export function isAlive(pid: number): boolean {
  const state = processState(pid);
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Living processes of a group. */
export function groupMembers(pgid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statFields(pid)?.[2] === String(pgid) && isAlive(pid));
}

export function childrenOf(ppid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statFields(pid)?.[1] === String(ppid) && isAlive(pid));
}

export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A folder that is removed at the end of the scope. */
export function tempFolder(): Disposable & { readonly path: string; file(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "fleetcron-test-"));
  return { path, file: (name) => join(path, name), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The fields of /proc/<pid>/stat from the state on: state, ppid, pgrp, session … */
function statFields(pid: number): string[] | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  return stat === "" ? undefined : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
