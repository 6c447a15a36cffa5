/**
 * What the agent and its spawner helper say to each other: one JSON object per line, over one socket (fd 3 of the helper).
 * The socket is the leash: when it closes, the helper ends every process tree it owns. Nothing here knows etcd.
 */
import type { EpochMs, MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";

/** How a process is to be started and for how long it may live. */
export type StartSpec = {
  readonly execution: string;
  readonly attempt: number;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment of the process; nothing of the agent's is added. */
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Supplementary groups; only together with `uid` and `gid`. */
  readonly groups?: readonly number[];
  readonly umask?: number;
  readonly nice?: number;
  /** Absent: /dev/null. */
  readonly stdinPath?: string;
  /** The process appends to it by itself (its fd 1 and 2); the folder exists. */
  readonly logPath: string;
  /** 0 = none. */
  readonly timeoutMs: number;
  /** Between TERM and KILL. */
  readonly killGraceMs: number;
  /** The process tree has ended when the monotonic clock reaches it; moved by `extend`. */
  readonly deadlineMono?: MonoMs;
};

export type ToSpawner =
  | { readonly t: "start"; readonly id: number; readonly spec: StartSpec }
  | { readonly t: "kill"; readonly id: number; readonly by: string; readonly reason: string }
  | { readonly t: "extend"; readonly id: number; readonly deadlineMono: MonoMs }
  | { readonly t: "extendAll"; readonly deadlineMono: MonoMs }
  | { readonly t: "killAll"; readonly by: string; readonly reason: string };

export type FromSpawner =
  | { readonly t: "ready" }
  /** `startTicks`: the process's start time since boot as in /proc/<pid>/stat; with the pid it names one process only. */
  | { readonly t: "started"; readonly id: number; readonly pid: number; readonly startedAtMs: EpochMs; readonly startTicks: number }
  | { readonly t: "ended"; readonly id: number; readonly outcome: Outcome; readonly endedAtMs: EpochMs; readonly durationMs: number };

/** One message as a line. */
export function encodeLine(message: ToSpawner | FromSpawner): string {
  return `${JSON.stringify(message)}\n`;
}

/** Cuts text as it arrives into messages; what has no newline yet is kept. */
export function createLineDecoder<T extends ToSpawner | FromSpawner>(): (text: string) => T[] {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    return lines.map((line) => JSON.parse(line) as T);
  };
}
