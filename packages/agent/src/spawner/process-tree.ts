/**
 * One run of the spawner, from request to end. The first cause of an end wins: what ended it by force is its outcome, also when the process then exits with 0.
 * A forced end takes the whole tree, wherever its members went; an end by itself leaves background children alone, as cron does. Timeout and deadline are kept
 * here, by the monotonic clock, so they hold while the agent is stopped or dead, or etcd is away.
 *
 *     queued ──> running ──> ending (TERM sent) ──> killed (KILL sent)
 *        └──────────┴───────────────┴───────────────────┴──> ended
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import type { CapSweep } from "../logs/cap-sweep.ts";
import type { Birthmarks } from "./birthmark.ts";
import { type Cgroups, killCgroup, oomKillsOf, pidsOfCgroup } from "./cgroups.ts";
import { outcomeOf } from "./exit-status.ts";
import type { Libc, Reaped, Usage } from "./libc.ts";
import { isAlive, type ProcessEntry, type ProcessTable, signal, startTicksOf } from "./processes.ts";
import { type FromSpawner, type RunId, type RunState, runId, type Started, type StartSpec, type WatchSpec } from "./protocol.ts";
import { spawnProcess } from "./spawn-process.ts";

/** Before a deadline: TERM is sent this early … */
const TERM_BEFORE_MS = 500;
/** … and KILL at the latest this early, so that the tree is gone when the deadline passes. */
const KILL_BEFORE_MS = 100;
/** While members of a tree outlive its leader in a forced end, it is looked at this often … */
const LOOK_MS = 20;
/** … and after KILL at most this long: nothing here waits for ever, not even for a process that the kernel does not let go. */
const GONE_WITHIN_MS = 5000;
/** A run that lives this long gets a cgroup of its own; making one costs as much as a short run. */
const CGROUP_AFTER_MS = 200;

export type TreeDeps = {
  readonly clock: Clock;
  readonly libc: Libc;
  readonly nullFd: number;
  readonly cgroups: Cgroups;
  readonly birthmarks: Birthmarks;
  readonly table: ProcessTable;
  readonly caps: CapSweep;
  readonly report: (message: FromSpawner) => void;
  /** Whether the kernel has killed somebody for memory just now. */
  readonly hostKilledForMemory: () => boolean;
  readonly warn: (message: string) => void;
};

type State = "queued" | "running" | "ending" | "killed" | "ended";

export class ProcessTree {
  readonly id: RunId;
  readonly spec: WatchSpec;
  readonly #deps: TreeDeps;
  #state: State = "queued";
  /** `startTicks` is unknown until `tellStart`. */
  #started: Started | undefined;
  #isTold = true;
  /** Whether the kernel tells us of its end. */
  #isChild = true;
  #startedMono: MonoMs | undefined;
  #timeoutAt: MonoMs = Number.POSITIVE_INFINITY;
  #deadline: MonoMs;
  /** The deadline belongs to an agent that is gone: only the next one may move it, by name. */
  #held = false;
  #killAt: MonoMs = Number.POSITIVE_INFINITY;
  #cause: Outcome | undefined;
  #cgroup: string | undefined;
  #hasTriedCgroup = false;
  #timerSlackNs: number | undefined;
  #usage: Usage | undefined;
  #looking = false;
  #wakeAt: MonoMs = Number.POSITIVE_INFINITY;
  #cancelWake: () => void = () => {};

  constructor(deps: TreeDeps, spec: WatchSpec) {
    this.#deps = deps;
    this.id = runId(spec);
    this.spec = spec;
    this.#deadline = spec.deadlineMono ?? Number.POSITIVE_INFINITY;
  }

  get pid(): number | undefined {
    return this.#isChild ? this.#started?.pid : undefined;
  }

  get runState(): RunState {
    return { id: this.id, ...(this.#started === undefined ? {} : { started: this.#started }) };
  }

  get #logs(): string[] {
    const { logPath, stderrPath } = this.spec;
    return stderrPath === undefined ? [logPath] : [logPath, stderrPath];
  }

  /** queued → running, or → ended when it cannot or must not start. */
  start(spec: StartSpec): void {
    if (this.#state !== "queued") return;
    const { clock, cgroups } = this.#deps;
    const startedAtMs = clock.now();
    const startedMono = clock.mono();
    if (startedMono >= this.#deadline - TERM_BEFORE_MS) return this.#finish({ type: "lockLost" });
    if (spec.limits?.memoryBytes !== undefined) this.#cgroup = cgroups.limited(this.id, spec.limits.memoryBytes);
    this.#timerSlackNs = this.#deps.birthmarks.take();
    const result = spawnProcess(this.#deps, spec, { cgroup: this.#cgroup, timerSlackNs: this.#timerSlackNs });
    if ("failed" in result) return this.#finish({ type: "spawnFailed", error: result.failed });
    this.#isTold = false;
    this.#run({ pid: result.pid, startTicks: 0, startedAtMs }, startedMono);
  }

  /** Tells of the start, unless the run is over by now: the start time of a process is as costly to learn as a short run, so the next ones are started before. */
  tellStart(): void {
    if (this.#isTold || this.#started === undefined || this.#state === "ended") return;
    this.#isTold = true;
    // A child that has not been reaped still has its start time.
    this.#started = { ...this.#started, startTicks: startTicksOf(this.#started.pid) ?? 0 };
    this.#deps.report({ t: "started", id: this.id, started: this.#started });
  }

  /** queued → running, with a process that another spawner has started: its end will be seen, its exit status not. */
  adopt(started: Started): void {
    const { clock } = this.#deps;
    this.#isChild = false;
    this.#run(started, clock.mono() - Math.max(0, clock.now() - started.startedAtMs));
  }

  #run(started: Started, startedMono: MonoMs): void {
    this.#state = "running";
    this.#started = started;
    this.#startedMono = startedMono;
    const { caps } = this.#deps;
    const { logMaxBytes } = this.spec;
    if (logMaxBytes !== undefined) for (const path of this.#logs) caps.add(path, logMaxBytes);
    if (this.spec.timeoutMs > 0) this.#timeoutAt = startedMono + this.spec.timeoutMs;
    this.#advance();
  }

  /** The leader, a child of ours, has ended. */
  exited(status: Reaped): void {
    this.#usage = status.usage;
    if (this.#cause !== undefined) return this.#finishWhenGone();
    const inCgroup = this.#cgroup !== undefined && oomKillsOf(this.#cgroup) > 0;
    const killedForMemory = status.signal !== undefined && (inCgroup || this.#deps.hostKilledForMemory());
    this.#finish(outcomeOf(status, { limits: this.spec.limits, killedForMemory }));
  }

  /** Looked at now and then: what is older than a moment gets a cgroup, and the end of what is not our child is found. */
  look(): void {
    this.tellStart();
    if (this.#started === undefined || this.#state !== "running") return;
    if (!this.#isChild && !isAlive(this.#started)) return this.#finish({ type: "lost", why: "supervisor" });
    const age = this.#deps.clock.mono() - (this.#startedMono ?? 0);
    if (this.#hasTriedCgroup || age < CGROUP_AFTER_MS) return;
    this.#hasTriedCgroup = true;
    this.#cgroup ??= this.#deps.cgroups.enter(this.id, () => this.#members().map(({ pid }) => pid));
  }

  /** running → ending: TERM to the tree, KILL after the grace (at most `maxGraceMs`). A later cause changes nothing but may hasten the KILL. */
  end(cause: Outcome, maxGraceMs = Number.POSITIVE_INFINITY): void {
    if (this.#state === "ended") return;
    if (this.#state === "queued") return this.#finish(cause);
    this.#killAt = Math.min(this.#killAt, this.#deps.clock.mono() + Math.min(this.spec.killGraceMs, maxGraceMs));
    if (this.#state === "running") {
      this.#state = "ending";
      this.#cause = cause;
      this.#signalTree("SIGTERM");
      // A stopped process takes TERM only when it goes on.
      this.#signalTree("SIGCONT");
      if (!this.#isChild) this.#finishWhenGone();
    }
    this.#advance();
  }

  /** Moves the deadline of a run that has one. One that has passed stays passed: what comes later belongs to another lock. */
  extend(deadline: MonoMs, options: { byName: boolean }): void {
    if (this.#deadline === Number.POSITIVE_INFINITY || this.#deps.clock.mono() >= this.#deadline) return;
    if (options.byName) this.#held = false;
    if (this.#held) return;
    this.#deadline = deadline;
    this.#advance();
  }

  /** Another agent is here: the lock under this run is not its own yet. */
  hold(): void {
    this.#held = true;
  }

  /** Does what is due now and sets one timer for what is due next. A timer that is too early only comes back here. */
  #advance(): void {
    const now = this.#deps.clock.mono();
    if (this.#state === "running") {
      const termAt = this.#deadline - TERM_BEFORE_MS;
      if (now < Math.min(this.#timeoutAt, termAt)) return this.#wake(Math.min(this.#timeoutAt, termAt), now);
      this.end(termAt <= this.#timeoutAt ? { type: "lockLost" } : { type: "timeout", afterMs: this.spec.timeoutMs });
    } else if (this.#state === "ending") {
      const killAt = Math.min(this.#killAt, this.#deadline - KILL_BEFORE_MS);
      if (now < killAt) return this.#wake(killAt, now);
      this.#state = "killed";
      this.#killAt = now;
      this.#signalTree("SIGKILL");
      this.#finishWhenGone();
    }
  }

  #wake(at: MonoMs, now: MonoMs): void {
    if (at >= this.#wakeAt || at === Number.POSITIVE_INFINITY) return;
    this.#cancelWake();
    this.#wakeAt = at;
    this.#cancelWake = this.#deps.clock.after(at - now, () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#advance();
    });
  }

  /** The rest of the tree has its grace too; after KILL whoever still appears is killed as well. */
  #finishWhenGone(): void {
    if (this.#looking) return;
    this.#looking = true;
    const look = () => {
      const left = this.#members();
      const overdue = this.#state === "killed" && this.#deps.clock.mono() >= this.#killAt + GONE_WITHIN_MS;
      if (left.length === 0 || overdue) {
        for (const { pid, state } of left)
          this.#deps.warn(`process ${pid} of run ${this.id} (state ${state}) does not end although it was killed`);
        return this.#finish(this.#cause ?? { type: "lost", why: "supervisor" });
      }
      if (this.#state === "killed") this.#signalTree("SIGKILL");
      this.#deps.clock.after(LOOK_MS, look);
    };
    look();
  }

  #members(): ProcessEntry[] {
    this.tellStart();
    const started = this.#started;
    if (started === undefined) return [];
    return this.#deps.table.membersOf(
      { id: this.id, timerSlackNs: this.#timerSlackNs, ...started },
      this.#cgroup === undefined ? [] : pidsOfCgroup(this.#cgroup),
    );
  }

  #signalTree(name: NodeJS.Signals): void {
    const members = this.#members();
    if (name === "SIGKILL" && this.#cgroup !== undefined) killCgroup(this.#cgroup);
    // The kernel ends a group as one, with what is just being forked in it. Groups of ours hold nobody else: they began in the run's session or a later one.
    if (name === "SIGKILL") for (const group of new Set(members.map(({ group }) => group))) signal(-group, name);
    for (const { pid } of members) signal(pid, name);
  }

  #finish(outcome: Outcome): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#cancelWake();
    if (this.#timerSlackNs !== undefined) this.#deps.birthmarks.release(this.#timerSlackNs);
    if (this.#cgroup !== undefined) this.#deps.cgroups.leave(this.#cgroup);
    for (const path of this.#logs) this.#deps.caps.remove(path);
    const { clock, report } = this.#deps;
    const durationMs = this.#startedMono === undefined ? 0 : Math.round(clock.mono() - this.#startedMono);
    const usage = this.#usage === undefined ? {} : { usage: this.#usage };
    const started = this.#isTold || this.#started === undefined ? {} : { started: this.#started };
    report({ t: "ended", id: this.id, ...started, ended: { outcome, endedAtMs: clock.now(), durationMs, ...usage } });
  }
}
