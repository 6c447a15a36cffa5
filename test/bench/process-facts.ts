/** What the kernel says of processes: memory, CPU, file descriptors, and what they have started. A process that is gone counts as nothing. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export type ProcessFacts = { readonly residentBytes: number; readonly cpuMs: number; readonly fds: number };

const PAGE = Number(execFileSync("getconf", ["PAGESIZE"]).toString());
const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"]).toString());

/** Of the processes together. `cpuMs`: user and system time since their start. */
export function factsOf(...pids: readonly number[]): ProcessFacts {
  const sum = { residentBytes: 0, cpuMs: 0, fds: 0 };
  for (const pid of pids) {
    const stat = textOf(`/proc/${pid}/stat`);
    if (stat === "") continue;
    // Behind the name, which may hold anything: state, ppid, … utime and stime are the 14th and 15th field, rss the 24th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    sum.cpuMs += ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
    sum.residentBytes += Number(fields[21]) * PAGE;
    sum.fds += entries(`/proc/${pid}/fd`).length;
  }
  return sum;
}

/** V8 takes memory in pages of this size, at multiples of it; glibc's arenas for threads begin at multiples of the other. */
const V8_PAGE = 256 * 1024;
const ARENA = 64 * 1024 * 1024;

/**
 * Resident memory of a Node.js process that is neither a file's nor in V8's pages: buffers, SQLite, what the allocator keeps. (Resident memory without
 * V8's own count of its heap says less: V8 keeps pages that it does not count.)
 */
export function nativeBytesOf(pid: number): number {
  let sum = 0;
  let isNative = false;
  for (const line of textOf(`/proc/${pid}/smaps`).split("\n")) {
    const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)$/.exec(line) ?? [];
    if (start !== undefined && end !== undefined) {
      const [from, bytes] = [Number.parseInt(start, 16), Number.parseInt(end, 16) - Number.parseInt(start, 16)];
      const isV8 = from % V8_PAGE === 0 && bytes % V8_PAGE === 0 && from % ARENA !== 0;
      isNative = name === "[heap]" || (name === "" && !isV8);
    } else if (isNative && line.startsWith("Rss:")) sum += Number(/\d+/.exec(line)?.[0]) * 1024;
  }
  return sum;
}

/** CPU time that the machine could not give to anybody else any more since it was started, all cores together: work, interrupts, what its host took. */
export function machineBusyMs(): number {
  // user nice system idle iowait irq softirq steal; guests are counted in user.
  const fields = textOf("/proc/stat").split("\n")[0]?.trim().split(/\s+/).slice(1, 9).map(Number) ?? [];
  const busy = fields.reduce((sum, ticks) => sum + ticks, 0) - (fields[3] ?? 0) - (fields[4] ?? 0);
  return (busy * 1000) / TICKS_PER_SECOND;
}

/** All living processes below `pid`. */
export function descendantsOf(pid: number): number[] {
  const children = Map.groupBy(
    entries("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), stat: textOf(`/proc/${name}/stat`) }))
      .filter(({ stat }) => stat !== ""),
    ({ stat }) => Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]),
  );
  const below = (parent: number): number[] => (children.get(parent) ?? []).flatMap((child) => [child.pid, ...below(child.pid)]);
  return below(pid);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
