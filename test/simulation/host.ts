/**
 * A simulated host: its clock, its boots, its journal's file, and its spawner with the processes that run. The spawner outlives the agent, as the real one does,
 * and ends what it must by the real rules (agent/src/spawner/lifespan.ts). What the processes themselves witness, in the time of the world, is the evidence.
 */
import type { MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import { Lifespan } from "../../packages/agent/src/spawner/lifespan.ts";
import { type Ended, type RunId, runId, type Started, type StartSpec } from "../../packages/agent/src/spawner/protocol.ts";
import { createJournalFile, type JournalFile } from "./journal-db.ts";
import { EPOCH_MS, SimProcess } from "./process.ts";
import type { Dice } from "./random.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What one process did. Times are of the world, since 1970. */
export type Evidence = {
  readonly env: Readonly<Record<string, string>>;
  readonly node: string;
  readonly execution: string;
  readonly attempt: number;
  readonly beginMs: number;
  endMs?: number;
  /** Absent: it was ended by force. */
  exitCode?: number;
};

export type HostRun = {
  readonly id: RunId;
  readonly lifespan: Lifespan;
  started: Started | undefined;
  ended: Ended | undefined;
  /** Its spawner has died: how it ends by itself is seen by nobody. */
  isUnobserved: boolean;
  /** The agent that is connected. */
  tell: { started(started: Started): void; ended(ended: Ended): void } | undefined;
  readonly evidence: Evidence | undefined;
};

/** How a process behaves, drawn from its environment. */
export type Behaviour = { readonly lastsMs: number; readonly exitCode: number; readonly ignoresTermMs: number };

export class SimHost {
  readonly id: string;
  readonly journal: JournalFile = createJournalFile();
  readonly evidence: Evidence[] = [];
  readonly runs = new Map<RunId, HostRun>();
  /** Went with a reboot without an end. */
  readonly gone = new Set<RunId>();
  offsetMs: number;
  /** The most that the clock was ahead and behind. */
  readonly offsets: { most: number; least: number };
  #boots = 1;
  #pids = 100;
  #kernel: SimProcess;
  readonly #time: VirtualTime;
  readonly #dice: Dice;
  readonly #behaviourOf: (spec: StartSpec, dice: Dice) => Behaviour;

  constructor(
    deps: { time: VirtualTime; dice: Dice },
    id: string,
    offsetMs: number,
    behaviourOf: (spec: StartSpec, dice: Dice) => Behaviour,
  ) {
    this.id = id;
    this.#time = deps.time;
    this.#dice = deps.dice;
    this.offsetMs = offsetMs;
    this.offsets = { most: offsetMs, least: offsetMs };
    this.#behaviourOf = behaviourOf;
    this.#kernel = this.#boot();
  }

  get bootId(): string {
    return `${this.id}-boot-${this.#boots}`;
  }

  stepClock(ms: number): void {
    this.offsetMs += ms;
    this.offsets.most = Math.max(this.offsets.most, this.offsetMs);
    this.offsets.least = Math.min(this.offsets.least, this.offsetMs);
  }

  /** The host goes down with all that runs on it, and is up again at once; its agent is started by whoever does that. */
  reboot(): void {
    this.#kernel.kill();
    this.#boots++;
    for (const [id, run] of this.runs) {
      if (run.ended !== undefined) continue;
      this.runs.delete(id);
      this.gone.add(id);
      if (run.evidence !== undefined) run.evidence.endMs = this.#nowMs();
    }
    this.#kernel = this.#boot();
  }

  /** Another spawner takes over what runs; how that ends by itself, nobody can tell it. */
  loseSpawner(): void {
    for (const run of this.runs.values()) if (run.ended === undefined) run.isUnobserved = true;
  }

  /** What an agent asks for that has just come up holds each deadline until it is moved by name. */
  connect(): void {
    for (const run of this.runs.values()) {
      run.tell = undefined;
      run.lifespan.hold();
    }
  }

  start(spec: StartSpec, tell: HostRun["tell"]): void {
    const { clock } = this.#kernel;
    const id = runId(spec);
    if (this.runs.has(id)) throw new Error(`${id} is started twice on ${this.id}`);
    const draw = this.#dice.fork(id);
    const behaviour = this.#behaviourOf(spec, draw);
    let cancelEnd = () => {};
    const isForced = () => run.lifespan.cause !== undefined;
    const lifespan = new Lifespan(clock, spec, {
      term: () => {
        cancelEnd();
        cancelEnd = clock.after(behaviour.ignoresTermMs, () => end(undefined));
      },
      kill: () => {
        cancelEnd();
        cancelEnd = clock.after(1, () => end(undefined));
      },
    });
    if (lifespan.isTooLate) {
      const run: HostRun = { id, lifespan, started: undefined, ended: undefined, isUnobserved: false, tell, evidence: undefined };
      this.runs.set(id, run);
      return this.#settle(run, { type: "lockLost" }, 0);
    }
    const started: Started = { pid: ++this.#pids, startTicks: this.#pids, startedAtMs: clock.now() };
    const evidence: Evidence = {
      ...{ env: spec.env, node: this.id, execution: spec.execution, attempt: spec.attempt },
      beginMs: this.#nowMs(),
    };
    const run: HostRun = { id, lifespan, started, ended: undefined, isUnobserved: false, tell, evidence };
    this.runs.set(id, run);
    this.evidence.push(evidence);
    lifespan.begin(clock.mono());
    tell?.started(started);
    const end = (exitCode: number | undefined) => {
      evidence.endMs = this.#nowMs();
      if (exitCode !== undefined) evidence.exitCode = exitCode;
      const byItself: Outcome = run.isUnobserved ? { type: "lost", why: "supervisor" } : { type: "exit", code: exitCode ?? 0 };
      const outcome = isForced() ? (lifespan.cause as Outcome) : byItself;
      this.#settle(run, outcome, evidence.endMs - evidence.beginMs);
    };
    // TERM may come as late as the end itself: then the process has ended by itself.
    cancelEnd = clock.after(behaviour.lastsMs, () => end(behaviour.exitCode));
  }

  extendAll(deadline: MonoMs): void {
    for (const { lifespan } of this.runs.values()) lifespan.extend(deadline, { byName: false });
  }

  #settle(run: HostRun, outcome: Outcome, durationMs: number): void {
    run.lifespan.finish();
    run.ended = { outcome, endedAtMs: this.#kernel.clock.now(), durationMs };
    run.tell?.ended(run.ended);
  }

  #boot(): SimProcess {
    return new SimProcess(this.#time, `${this.id} kernel`, () => this.offsetMs);
  }

  #nowMs(): number {
    return EPOCH_MS + this.#time.nowMs;
  }
}
