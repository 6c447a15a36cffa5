/**
 * What the agent and the programs that outlive it say to each other: one JSON object per line over a unix socket in the agent's data folder. There are two: the
 * spawner has the processes of this host, the session host (../runners/session-host.ts) what runs elsewhere. The next agent connects to the same sockets and is
 * told by `hello` what runs and what has ended meanwhile. Nothing here knows etcd.
 */
import type { EpochMs, MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import type { SessionEnd, SessionSpec } from "../runners/runner.ts";
import type { Ids, Usage } from "./libc.ts";

/** Changes when an older spawner would misunderstand. A spawner of another version keeps what it runs, and gets nothing new. */
export const PROTOCOL = 1;

export type Limits = {
  readonly nofile?: number;
  readonly memoryBytes?: number;
  /** Cpu time of one process. */
  readonly cpuSeconds?: number;
};

/** What ends an attempt by force, and where its output is: all that is needed to watch over a process that somebody else started. */
export type WatchSpec = {
  readonly execution: string;
  readonly attempt: number;
  /** The process appends to it by itself (its fd 1 and 2); the folder exists. */
  readonly logPath: string;
  /** Where standard error goes instead of the log. */
  readonly stderrPath?: string;
  /** Beyond it the middle of the log, and of `stderrPath`, is dropped; absent = never. */
  readonly logMaxBytes?: number;
  /** 0 = none. */
  readonly timeoutMs: number;
  /** Between TERM and KILL. */
  readonly killGraceMs: number;
  /** The process tree has ended when the monotonic clock reaches it; moved by `extend`. */
  readonly deadlineMono?: MonoMs;
  readonly limits?: Limits;
};

/** How a process is to be started and for how long it may live. */
export type StartSpec = WatchSpec & {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment of the process; nothing of the agent's is added. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: those of the agent. Needs root. */
  readonly ids?: Ids;
  readonly umask?: number;
  readonly nice?: number;
  /** Absent: /dev/null. */
  readonly stdinPath?: string;
};

/** What a runner is to do elsewhere. Whole also when it is only to be watched over: a session host that takes over must be able to go there. */
export type SessionStart = WatchSpec & { readonly session: SessionSpec };

/** A process in a way that a reused pid cannot forge: `startTicks` is its start time since boot as in /proc/<pid>/stat. Of a session: both 0. */
export type Started = { readonly pid: number; readonly startTicks: number; readonly startedAtMs: EpochMs };

export type Ended = { readonly outcome: Outcome; readonly endedAtMs: EpochMs; readonly durationMs: number; readonly usage?: Usage } & Pick<
  SessionEnd,
  "hosts" | "retryAfterMs"
>;

/** `<execution>-<attempt>`. */
export type RunId = string;

/** A spawner has processes, a session host sessions. */
export type RunKind = "processes" | "sessions";

/** One attempt as a spawner knows it. `trace`: what a session's runner needs to find it again at the other end. */
export type RunState = { readonly id: RunId; readonly started?: Started; readonly trace?: string; readonly ended?: Ended };

export type ToSpawner =
  | { readonly t: "start"; readonly spec: StartSpec }
  /** Watch over a process whose spawner died: its end will be seen, its exit status not. */
  | { readonly t: "adopt"; readonly spec: WatchSpec; readonly started: Started }
  | { readonly t: "open"; readonly spec: SessionStart }
  /** Go on with a session whose host died; whether it had begun is unknown when there is no `trace`. */
  | { readonly t: "reopen"; readonly spec: SessionStart; readonly state: RunState }
  | { readonly t: "kill"; readonly id: RunId; readonly by: string; readonly reason: string }
  | { readonly t: "extend"; readonly id: RunId; readonly deadlineMono: MonoMs }
  | { readonly t: "extendAll"; readonly deadlineMono: MonoMs }
  | { readonly t: "killAll"; readonly by: string; readonly reason: string; readonly maxGraceMs: number }
  /** These ends are in the agent's journal: forget them. */
  | { readonly t: "ack"; readonly ids: readonly RunId[] }
  /** Nothing new will come: exit when nothing is left. */
  | { readonly t: "retire" };

export type FromSpawner =
  /** `kind` is absent in what an older version says: it has processes. */
  | {
      readonly t: "hello";
      readonly protocol: number;
      readonly version: string;
      readonly kind?: RunKind;
      readonly runs: readonly RunState[];
    }
  | { readonly t: "started"; readonly id: RunId; readonly started: Started }
  /** `started`: of a run that was over before its start was told. */
  | { readonly t: "ended"; readonly id: RunId; readonly started?: Started; readonly ended: Ended };

export function runId(spec: { execution: string; attempt: number }): RunId {
  return `${spec.execution}-${spec.attempt}`;
}

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
