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
