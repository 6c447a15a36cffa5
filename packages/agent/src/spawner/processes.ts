/**
 * The host's processes as /proc shows them, and which of them belong to a run. A run is known by its leader's pid and start time; a pid number is not given out
 * again while a session or group of that number has members, so "the leader is ours or is gone" is enough to own the session.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { timerSlackOf } from "./birthmark.ts";
import type { RunId } from "./protocol.ts";

export type ProcessEntry = {
  readonly pid: number;
  /** `Z` is a zombie: ended, but not reaped by its parent. */
  readonly state: string;
  readonly ppid: number;
  readonly group: number;
  readonly session: number;
  readonly startTicks: number;
};

/** What is looked for: a run by its leader, its mark in the environment, its timer slack (birthmark.ts), and its cgroup if it has one. */
export type TreeIdentity = {
  readonly id: RunId;
  readonly pid: number;
  readonly startTicks: number;
  readonly timerSlackNs?: number | undefined;
};

/** Start time of a process in clock ticks since boot, or undefined when there is no such process. */
export function startTicksOf(pid: number): number | undefined {
  return readEntry(pid)?.startTicks;
}

/** Whether exactly this process is there and has not ended. */
export function isAlive(process: { pid: number; startTicks: number }): boolean {
  const entry = readEntry(process.pid);
  return entry?.startTicks === process.startTicks && !isDead(entry);
}

/** The first process of a run that nobody has noted, by its mark: it leads its session. */
export function findLeader(id: RunId): { readonly pid: number; readonly startTicks: number } | undefined {
  const leaders = [...takeSnapshot().byPid.values()].filter((entry) => entry.session === entry.pid && !isDead(entry));
  return leaders.sort((a, b) => a.startTicks - b.startTicks).find(({ pid }) => markOf(pid) === id);
}

/** Sends a signal to a process or, with a negative pid, to its group; false when there is none. Signal 0 only asks. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    // EPERM: it exists, but belongs to a user that we may not signal.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A picture of all processes, taken anew when it is older than a few milliseconds: many kills at once share it. */
export class ProcessTable {
  readonly #clock: Pick<Clock, "mono">;
  readonly #ownPid: number;
  readonly #marks = new Map<string, RunId | undefined>();
  readonly #slacks = new Map<string, number | undefined>();
  #snapshot: Snapshot | undefined;
  #takenAt: MonoMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "mono">, ownPid: number) {
    this.#clock = clock;
    this.#ownPid = ownPid;
  }

  /** All living processes of a run, wherever they went: session, descendants, and whoever carries its mark. Never this process or init. */
  membersOf(tree: TreeIdentity, cgroupPids: readonly number[] = []): ProcessEntry[] {
    const { byPid, children, sessions } = this.#fresh();
    const found = new Map<number, ProcessEntry>();
    const queue: ProcessEntry[] = [];
    const add = (entry: ProcessEntry | undefined) => {
      if (entry === undefined || found.has(entry.pid) || entry.pid === this.#ownPid || entry.pid === 1) return;
      found.set(entry.pid, entry);
      queue.push(entry);
    };
    const leader = byPid.get(tree.pid);
    if (leader === undefined || leader.startTicks === tree.startTicks) {
      add(leader);
      for (const entry of sessions.get(tree.pid) ?? []) add(entry);
    }
    for (const pid of cgroupPids) add(byPid.get(pid));
    for (const entry of this.#marked(tree)) add(entry);
    if (tree.timerSlackNs !== undefined) for (const entry of this.#orphans(tree)) add(entry);
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) for (const child of children.get(entry.pid) ?? []) add(child);
    return [...found.values()].filter((entry) => !isDead(entry));
  }

  #fresh(): Snapshot {
    if (this.#snapshot === undefined || this.#clock.mono() - this.#takenAt > FRESH_MS) {
      this.#snapshot = takeSnapshot();
      this.#takenAt = this.#clock.mono();
      for (const cache of [this.#marks, this.#slacks]) for (const key of cache.keys()) if (!this.#snapshot.keys.has(key)) cache.delete(key);
    }
    return this.#snapshot;
  }

  /** Processes whose environment says that they began within the run. What is older than the run cannot. */
  *#marked(tree: TreeIdentity): Generator<ProcessEntry> {
    for (const [key, entry] of this.#fresh().keys) {
      if (entry.startTicks < tree.startTicks || isDead(entry)) continue;
      if (!this.#marks.has(key)) this.#marks.set(key, markOf(entry.pid));
      if (this.#marks.get(key) === tree.id) yield entry;
    }
  }

  /** Processes that have lost their parents, so that this one is their parent now, and that were born within the run. */
  *#orphans(tree: TreeIdentity): Generator<ProcessEntry> {
    for (const entry of this.#fresh().children.get(this.#ownPid) ?? []) {
      if (entry.startTicks < tree.startTicks || isDead(entry)) continue;
      const key = keyOf(entry);
      if (!this.#slacks.has(key)) this.#slacks.set(key, timerSlackOf(entry.pid));
      if (this.#slacks.get(key) === tree.timerSlackNs) yield entry;
    }
  }
}

const FRESH_MS = 5;

function keyOf({ pid, startTicks }: ProcessEntry): string {
  return `${pid}:${startTicks}`;
}

function isDead({ state }: ProcessEntry): boolean {
  return state === "Z" || state === "X";
}

type Snapshot = {
  readonly byPid: ReadonlyMap<number, ProcessEntry>;
  readonly children: ReadonlyMap<number, readonly ProcessEntry[]>;
  readonly sessions: ReadonlyMap<number, readonly ProcessEntry[]>;
  /** By pid and start time. */
  readonly keys: ReadonlyMap<string, ProcessEntry>;
};

function takeSnapshot(): Snapshot {
  const entries = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (readEntry(Number(name)) ?? []) : []));
  return {
    byPid: new Map(entries.map((entry) => [entry.pid, entry])),
    children: Map.groupBy(entries, ({ ppid }) => ppid),
    sessions: Map.groupBy(entries, ({ session }) => session),
    keys: new Map(entries.map((entry) => [keyOf(entry), entry])),
  };
}

/** The run that a process was begun in, from the environment that it was started with. */
function markOf(pid: number): RunId | undefined {
  try {
    const environment = `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`;
    const execution = /\0FLEETCRON_EXECUTION=([^\0]*)/.exec(environment)?.[1];
    return execution === undefined ? undefined : `${execution}-${/\0FLEETCRON_ATTEMPT=([^\0]*)/.exec(environment)?.[1]}`;
  } catch {
    return undefined;
  }
}

function readEntry(pid: number): ProcessEntry | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(`/proc/${pid}/stat`, "r");
    const buffer = Buffer.allocUnsafe(512);
    const text = buffer.toString("latin1", 0, readSync(fd, buffer));
    // The name (2nd field) may hold anything, also spaces and brackets; the start time is the 20th field after it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ", 20);
    const startTicks = Number(fields[19]);
    if (!Number.isFinite(startTicks)) return undefined;
    return { pid, state: fields[0] ?? "", ppid: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]), startTicks };
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
