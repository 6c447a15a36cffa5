/**
 * One spawner helper as the agent sees it: its process, the socket, and a handle per execution that it was given. When the helper dies unexpectedly, the
 * process groups that it had reported are killed (pid and start time must match) and their handles end as `lost`: no handle stays open for ever.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock, EpochMs, MonoMs } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Outcome } from "fleetcron-shared/model/record";
import { signalGroup } from "./spawner/process-group.ts";
import { createLineDecoder, encodeLine, type FromSpawner, type StartSpec, type ToSpawner } from "./spawner-protocol.ts";

/** How a process ended; `pid` and `startedAtMs` are absent when none was started. */
export type ProcessEnd = {
  readonly outcome: Outcome;
  readonly pid?: number;
  readonly startedAtMs?: EpochMs;
  readonly endedAtMs: EpochMs;
  readonly durationMs: number;
};

/** A request that was handed to a supervisor. Both promises always resolve. */
export type Running = {
  /** Undefined when nothing was started. */
  readonly started: Promise<{ readonly pid: number; readonly startedAtMs: EpochMs } | undefined>;
  /** At the main process's end; a forced end waits for the whole process group. */
  readonly ended: Promise<ProcessEnd>;
  kill(by: string, reason: string): void;
  /** Moves the deadline, for an execution that was started with one. */
  extend(deadlineMono: MonoMs): void;
};

/** The helper must stay small, so that its forks are cheap: a small young generation, no worker threads of V8. */
const HELPER_FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=0", "--disable-warning=ExperimentalWarning"];
const GROUP_POLL_MS = 10;
/** How long the end of a dead helper's process groups is waited for after their KILL. */
const GONE_WITHIN_MS = 1000;

const LOST: Outcome = { type: "lost", why: "agentStopped" };
const NEVER_STARTED: Outcome = { type: "spawnFailed", error: "the agent's spawner helper could not be started on this host" };

type Entry = {
  readonly settleStarted: (started: { pid: number; startedAtMs: EpochMs } | undefined) => void;
  readonly settleEnded: (end: ProcessEnd) => void;
  started: { readonly pid: number; readonly startedAtMs: EpochMs; readonly startTicks: number } | undefined;
};

export class SpawnerLink {
  /** Resolves when the helper is gone and every handle has ended. */
  readonly closed: Promise<void>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #entries = new Map<number, Entry>();
  readonly #ready = Promise.withResolvers<void>();
  #lastId = 0;
  #unstarted = 0;
  #outgoing = "";
  #alive = true;
  #wasReady = false;
  #closing = false;

  /** `env` is the helper's own environment (never that of the processes); undefined = as the agent's. */
  constructor(deps: { clock: Clock; log: Log }, env: Readonly<Record<string, string | undefined>> | undefined) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    const main = fileURLToPath(new URL(`./spawner-main${extname(import.meta.url)}`, import.meta.url));
    // Its own session: a terminal's or a service manager's signals to the agent's group do not reach it.
    this.#child = spawn(process.execPath, [...HELPER_FLAGS, main], {
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "pipe"],
      ...(env === undefined ? {} : { env }),
    });
    this.#socket = this.#child.stdio[3] as Socket;
    const decode = createLineDecoder<FromSpawner>();
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => {
      for (const message of decode(text)) this.#receive(message);
    });
    this.#socket.on("error", (error) => this.#log.debug({ error: error.message }, "the spawner's socket broke"));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#child.once("error", (error) => void this.#gone({ error: error.message }).then(resolve));
    this.#child.once("close", (code, signal) => void this.#gone({ code, signal }).then(resolve));
    this.#ready.promise.catch(() => {});
  }

  /** Resolves when the helper answers; rejects when it could not be started. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get alive(): boolean {
    return this.#alive && !this.#closing;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Requests that wait for their turn in the helper. */
  get unstarted(): number {
    return this.#unstarted;
  }

  start(spec: StartSpec): Running {
    const id = ++this.#lastId;
    const started = Promise.withResolvers<{ pid: number; startedAtMs: EpochMs } | undefined>();
    const ended = Promise.withResolvers<ProcessEnd>();
    this.#entries.set(id, { settleStarted: started.resolve, settleEnded: ended.resolve, started: undefined });
    this.#unstarted++;
    this.#send({ t: "start", id, spec });
    return {
      started: started.promise,
      ended: ended.promise,
      kill: (by, reason) => this.#sendFor(id, { t: "kill", id, by, reason }),
      extend: (deadlineMono) => this.#sendFor(id, { t: "extend", id, deadlineMono }),
    };
  }

  extendAll(deadlineMono: MonoMs): void {
    if (this.#entries.size > 0) this.#send({ t: "extendAll", deadlineMono });
  }

  killAll(by: string, reason: string): void {
    this.#send({ t: "killAll", by, reason });
  }

  /** Lets the helper go, which ends what still runs in it. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#flush();
    this.#socket.end();
    await this.closed;
  }

  #sendFor(id: number, message: ToSpawner): void {
    if (this.#entries.has(id)) this.#send(message);
  }

  /** What is sent in one turn leaves in one write. */
  #send(message: ToSpawner): void {
    if (this.#outgoing === "") process.nextTick(() => this.#flush());
    this.#outgoing += encodeLine(message);
  }

  #flush(): void {
    if (this.#outgoing !== "" && this.#socket.writable) this.#socket.write(this.#outgoing);
    this.#outgoing = "";
  }

  #receive(message: FromSpawner): void {
    if (message.t === "ready") {
      this.#wasReady = true;
      this.#ready.resolve();
      return;
    }
    const entry = this.#entries.get(message.id);
    if (entry === undefined) return;
    if (message.t === "started") {
      const { pid, startedAtMs, startTicks } = message;
      this.#unstarted--;
      entry.started = { pid, startedAtMs, startTicks };
      entry.settleStarted({ pid, startedAtMs });
    } else {
      this.#end(message.id, entry, { outcome: message.outcome, endedAtMs: message.endedAtMs, durationMs: message.durationMs });
    }
  }

  #end(id: number, entry: Entry, end: ProcessEnd): void {
    this.#entries.delete(id);
    if (entry.started === undefined) {
      this.#unstarted--;
      entry.settleStarted(undefined);
      entry.settleEnded(end);
    } else {
      entry.settleEnded({ ...end, pid: entry.started.pid, startedAtMs: entry.started.startedAtMs });
    }
  }

  async #gone(how: { code?: number | null; signal?: NodeJS.Signals | null; error?: string }): Promise<void> {
    if (!this.#alive) return;
    this.#alive = false;
    this.#ready.reject(new AppError("internal/bug", `the spawner helper ended before it was ready: ${JSON.stringify(how)}`));
    if (!this.#closing)
      this.#log.error({ ...how, spawner: this.#child.pid, lost: this.#entries.size }, "the spawner helper died; its processes are killed");
    await Promise.all([...this.#entries].map(([id, entry]) => this.#lose(id, entry)));
  }

  async #lose(id: number, entry: Entry): Promise<void> {
    const { started } = entry;
    if (started !== undefined) {
      const until = this.#clock.mono() + GONE_WITHIN_MS;
      signalGroup(started.pid, started.startTicks, "SIGKILL");
      while (signalGroup(started.pid, started.startTicks, 0) && this.#clock.mono() < until) await this.#clock.sleep(GROUP_POLL_MS);
    }
    const endedAtMs = this.#clock.now();
    const durationMs = started === undefined ? 0 : Math.max(0, endedAtMs - started.startedAtMs);
    this.#end(id, entry, { outcome: this.#wasReady ? LOST : NEVER_STARTED, endedAtMs, durationMs });
  }
}
