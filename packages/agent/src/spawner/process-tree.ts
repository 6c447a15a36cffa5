/**
 * One run of the spawner, from request to end. What ended it by force (lifespan.ts) is its outcome, also when the process then exits with 0. A forced end takes the
 * whole tree, wherever its members went; an end by itself leaves background children alone, as cron does.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import type { CapSweep } from "../logs/cap-sweep.ts";
import type { Birthmarks } from "./birthmark.ts";
import { type Cgroups, killCgroup, oomKillsOf, pidsOfCgroup } from "./cgroups.ts";
import { outcomeOf } from "./exit-status.ts";
import type { Libc, Reaped, Usage } from "./libc.ts";
import { Lifespan } from "./lifespan.ts";
import { isAlive, type ProcessEntry, type ProcessTable, signal, startTicksOf } from "./processes.ts";
import { type FromSpawner, type RunId, type RunState, runId, type Started, type StartSpec, type WatchSpec } from "./protocol.ts";
import { spawnProcess } from "./spawn-process.ts";

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

export class ProcessTree {
  readonly id: RunId;
  readonly spec: WatchSpec;
  readonly #deps: TreeDeps;
  readonly #lifespan: Lifespan;
  /** `startTicks` is unknown until `tellStart`. */
  #started: Started | undefined;
  #isTold = true;
  /** Whether the kernel tells us of its end. */
  #isChild = true;
  #startedMono: MonoMs | undefined;
  #cgroup: string | undefined;
  #hasTriedCgroup = false;
  #timerSlackNs: number | undefined;
  #usage: Usage | undefined;
  #looking = false;

  constructor(deps: TreeDeps, spec: WatchSpec) {
    this.#deps = deps;
    this.id = runId(spec);
    this.spec = spec;
    this.#lifespan = new Lifespan(deps.clock, spec, { term: () => this.#term(), kill: () => this.#kill() });
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
    if (this.#lifespan.state !== "queued") return;
    const { clock, cgroups } = this.#deps;
    const startedAtMs = clock.now();
    const startedMono = clock.mono();
    if (this.#lifespan.isTooLate) return this.#finish({ type: "lockLost" });
    if (spec.limits?.memoryBytes !== undefined) this.#cgroup = cgroups.limited(this.id, spec.limits.memoryBytes);
    this.#timerSlackNs = this.#deps.birthmarks.take();
    const result = spawnProcess(this.#deps, spec, { cgroup: this.#cgroup, timerSlackNs: this.#timerSlackNs });
    if ("failed" in result) return this.#finish({ type: "spawnFailed", error: result.failed });
    this.#isTold = false;
    this.#run({ pid: result.pid, startTicks: 0, startedAtMs }, startedMono);
  }

  /** Tells of the start, unless the run is over by now: the start time of a process is as costly to learn as a short run, so the next ones are started before. */
  tellStart(): void {
    if (this.#isTold || this.#started === undefined || this.#lifespan.state === "ended") return;
    this.#isTold = true;
    // A child that has not been reaped still has its start time.
    this.#started = { ...this.#started, startTicks: startTicksOf(this.#started.pid) ?? 0 };
    this.#deps.report({ t: "started", id: this.id, started: this.#started });
  }

  /** queued → running, with a process that another spawner has started: its end will be seen, its exit status not. */
  adopt(started: Started): void {
    const { clock } = this.#deps;
    this.#isChild = false;
    this.#lifespan.hold();
    this.#run(started, clock.mono() - Math.max(0, clock.now() - started.startedAtMs));
  }

  #run(started: Started, startedMono: MonoMs): void {
    this.#started = started;
    this.#startedMono = startedMono;
    const { caps } = this.#deps;
    const { logMaxBytes } = this.spec;
    if (logMaxBytes !== undefined) for (const path of this.#logs) caps.add(path, logMaxBytes);
    this.#lifespan.begin(startedMono);
  }

  /** The leader, a child of ours, has ended. */
  exited(status: Reaped): void {
    this.#usage = status.usage;
    if (this.#lifespan.cause !== undefined) return this.#finishWhenGone();
    const inCgroup = this.#cgroup !== undefined && oomKillsOf(this.#cgroup) > 0;
    const killedForMemory = status.signal !== undefined && (inCgroup || this.#deps.hostKilledForMemory());
    this.#finish(outcomeOf(status, { limits: this.spec.limits, killedForMemory }));
  }

  /** Looked at now and then: what is older than a moment gets a cgroup, and the end of what is not our child is found. */
  look(): void {
    this.tellStart();
    if (this.#started === undefined || this.#lifespan.state !== "running") return;
    if (!this.#isChild && !isAlive(this.#started)) return this.#finish({ type: "lost", why: "supervisor" });
    const age = this.#deps.clock.mono() - (this.#startedMono ?? 0);
    if (this.#hasTriedCgroup || age < CGROUP_AFTER_MS) return;
    this.#hasTriedCgroup = true;
    this.#cgroup ??= this.#deps.cgroups.enter(this.id, () => this.#members().map(({ pid }) => pid));
  }

  /** Ends the run by force; the tree has its grace (at most `maxGraceMs`). */
  end(cause: Outcome, maxGraceMs?: number): void {
    if (this.#lifespan.state === "queued") this.#finish(cause);
    else this.#lifespan.end(cause, maxGraceMs);
  }

  extend(deadline: MonoMs, options: { byName: boolean }): void {
    this.#lifespan.extend(deadline, options);
  }

  hold(): void {
    this.#lifespan.hold();
  }

  #term(): void {
    this.#signalTree("SIGTERM");
    // A stopped process takes TERM only when it goes on.
    this.#signalTree("SIGCONT");
    if (!this.#isChild) this.#finishWhenGone();
  }

  #kill(): void {
    this.#signalTree("SIGKILL");
    this.#finishWhenGone();
  }

  /** The rest of the tree has its grace too; after KILL whoever still appears is killed as well. */
  #finishWhenGone(): void {
    if (this.#looking) return;
    this.#looking = true;
    const look = () => {
      const left = this.#members();
      const { killedAt } = this.#lifespan;
      const overdue = killedAt !== undefined && this.#deps.clock.mono() >= killedAt + GONE_WITHIN_MS;
      if (left.length === 0 || overdue) {
        for (const { pid, state } of left)
          this.#deps.warn(`process ${pid} of run ${this.id} (state ${state}) does not end although it was killed`);
        return this.#finish(this.#lifespan.cause ?? { type: "lost", why: "supervisor" });
      }
      if (killedAt !== undefined) this.#signalTree("SIGKILL");
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
    if (this.#lifespan.state === "ended") return;
    this.#lifespan.finish();
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
