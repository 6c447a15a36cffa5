/**
 * One supervised process tree of the spawner helper, from request to end. The first cause of an end wins: what ended it by force is its outcome, also
 * when the process then exits with 0. A forced end takes the whole process group; an end by itself leaves background children alone, as cron does.
 * Timeout and deadline are kept here, by the monotonic clock, so they hold while the agent is stopped or etcd is away.
 *
 *     queued ──> running ──> ending (TERM sent) ──> killed (KILL sent)
 *        └──────────┴───────────────┴───────────────────┴──> ended
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import type { FromSpawner, StartSpec } from "../spawner-protocol.ts";
import { describeStartFailure } from "./failure.ts";
import { signalGroup, startTicksOf } from "./process-group.ts";
import { spawnProcess } from "./spawn-process.ts";

/** Before a deadline: TERM is sent this early … */
const TERM_BEFORE_MS = 500;
/** … and KILL at the latest this early, so that the tree is gone when the deadline passes. */
const KILL_BEFORE_MS = 100;
/** While members of a group outlive their leader in a forced end, it is looked at this often … */
const GROUP_POLL_MS = 10;
/** … and after KILL at most this long: zombies that nobody reaps do not hold up the end. */
const GONE_WITHIN_MS = 1000;

type State = "queued" | "running" | "ending" | "killed" | "ended";

export class ProcessTree {
  readonly #clock: Clock;
  readonly #report: (message: FromSpawner) => void;
  readonly #id: number;
  readonly #spec: StartSpec;
  #state: State = "queued";
  #pid: number | undefined;
  #startTicks: number | undefined;
  #startedMono: MonoMs | undefined;
  #timeoutAt: MonoMs = Number.POSITIVE_INFINITY;
  #deadline: MonoMs;
  #killAt: MonoMs = Number.POSITIVE_INFINITY;
  #cause: Outcome | undefined;
  #wakeAt: MonoMs = Number.POSITIVE_INFINITY;
  #cancelWake: () => void = () => {};

  constructor(deps: { clock: Clock; report: (message: FromSpawner) => void }, id: number, spec: StartSpec) {
    this.#clock = deps.clock;
    this.#report = deps.report;
    this.#id = id;
    this.#spec = spec;
    this.#deadline = spec.deadlineMono ?? Number.POSITIVE_INFINITY;
  }

  /** queued → running, or → ended when it cannot or must not start. */
  start(nullFd: number): void {
    if (this.#state !== "queued") return;
    const { clock, spec } = { clock: this.#clock, spec: this.#spec };
    const startedAtMs = clock.now();
    const startedMono = clock.mono();
    if (startedMono >= this.#deadline - TERM_BEFORE_MS) {
      this.#finish({ type: "lockLost" });
      return;
    }
    const result = spawnProcess(spec, nullFd);
    if ("failed" in result) {
      this.#finish({ type: "spawnFailed", error: result.failed });
      return;
    }
    const { child } = result;
    this.#state = "running";
    child.once("error", (error) => this.#finish({ type: "spawnFailed", error: describeStartFailure(error, "spawn", spec) }));
    if (child.pid === undefined) return;
    child.once("exit", (code, signal) => this.#leaderExited(code, signal));
    this.#pid = child.pid;
    this.#startTicks = startTicksOf(child.pid);
    this.#startedMono = startedMono;
    if (spec.timeoutMs > 0) this.#timeoutAt = startedMono + spec.timeoutMs;
    this.#report({ t: "started", id: this.#id, pid: child.pid, startedAtMs, startTicks: this.#startTicks ?? 0 });
    this.#advance();
  }

  /** running → ending: TERM to the group, KILL after the grace (at most `maxGraceMs`). A later cause changes nothing but may hasten the KILL. */
  end(cause: Outcome, maxGraceMs = Number.POSITIVE_INFINITY): void {
    if (this.#state === "ended") return;
    if (this.#state === "queued") {
      this.#finish(cause);
      return;
    }
    this.#killAt = Math.min(this.#killAt, this.#clock.mono() + Math.min(this.#spec.killGraceMs, maxGraceMs));
    if (this.#state === "running") {
      this.#state = "ending";
      this.#cause = cause;
      this.#signal("SIGTERM");
      // A stopped process takes TERM only when it goes on.
      this.#signal("SIGCONT");
    }
    this.#advance();
  }

  /** Moves the deadline of an execution that has one. A deadline that has passed stays passed: what comes later belongs to another lock. */
  extend(deadline: MonoMs): void {
    if (this.#deadline === Number.POSITIVE_INFINITY || this.#clock.mono() >= this.#deadline) return;
    this.#deadline = deadline;
    this.#advance();
  }

  /** Does what is due now and sets one timer for what is due next. A timer that is too early only comes back here. */
  #advance(): void {
    const now = this.#clock.mono();
    if (this.#state === "running") {
      const termAt = this.#deadline - TERM_BEFORE_MS;
      if (now >= Math.min(this.#timeoutAt, termAt)) {
        this.end(termAt <= this.#timeoutAt ? { type: "lockLost" } : { type: "timeout", afterMs: this.#spec.timeoutMs });
        return;
      }
      this.#wake(Math.min(this.#timeoutAt, termAt), now);
    } else if (this.#state === "ending") {
      const killAt = Math.min(this.#killAt, this.#deadline - KILL_BEFORE_MS);
      if (now < killAt) {
        this.#wake(killAt, now);
        return;
      }
      this.#state = "killed";
      this.#killAt = now;
      this.#signal("SIGKILL");
    }
  }

  #wake(at: MonoMs, now: MonoMs): void {
    if (at >= this.#wakeAt) return;
    this.#cancelWake();
    this.#wakeAt = at;
    this.#cancelWake = this.#clock.after(at - now, () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#advance();
    });
  }

  #leaderExited(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#cause !== undefined) {
      this.#finishWhenGroupGone(this.#cause);
      return;
    }
    this.#finish(signal === null ? { type: "exit", code: code ?? 0 } : { type: "signal", name: signal });
  }

  /** The rest of the group has its grace too; the KILL comes from the timer that is set already. */
  #finishWhenGroupGone(cause: Outcome): void {
    const overdue = this.#state === "killed" && this.#clock.mono() >= this.#killAt + GONE_WITHIN_MS;
    if (overdue || !this.#signal(0)) {
      this.#finish(cause);
      return;
    }
    this.#clock.after(GROUP_POLL_MS, () => this.#finishWhenGroupGone(cause));
  }

  #signal(signal: NodeJS.Signals | 0): boolean {
    return this.#pid !== undefined && signalGroup(this.#pid, this.#startTicks, signal);
  }

  #finish(outcome: Outcome): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#cancelWake();
    const durationMs = this.#startedMono === undefined ? 0 : Math.round(this.#clock.mono() - this.#startedMono);
    this.#report({ t: "ended", id: this.#id, outcome, endedAtMs: this.#clock.now(), durationMs });
  }
}
