/**
 * When and why a run ends by force. The first cause wins. Timeout and deadline are kept here, by the monotonic clock, so they hold while the agent is stopped or
 * dead, or etcd is away.
 *
 *     queued ──> running ──> ending (TERM sent) ──> killed (KILL sent)
 *        └──────────┴───────────────┴───────────────────┴──> ended
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import type { Outcome } from "fleetcron-shared/model/record";
import type { WatchSpec } from "./protocol.ts";

/** Before a deadline: TERM is sent this early … */
const TERM_BEFORE_MS = 500;
/** … and KILL at the latest this early, so that everything is gone when the deadline passes. */
const KILL_BEFORE_MS = 100;

type State = "queued" | "running" | "ending" | "killed" | "ended";
/** `term` asks what runs to end, `kill` ends it by force. */
type Acts = { readonly term: () => void; readonly kill: () => void };

export class Lifespan {
  readonly #clock: Pick<Clock, "mono" | "after">;
  readonly #spec: Pick<WatchSpec, "timeoutMs" | "killGraceMs">;
  readonly #acts: Acts;
  #state: State = "queued";
  #cause: Outcome | undefined;
  #timeoutAt: MonoMs = Number.POSITIVE_INFINITY;
  #deadline: MonoMs;
  /** The deadline belongs to an agent that is gone: only the next one may move it, by name. */
  #held = false;
  #killAt: MonoMs = Number.POSITIVE_INFINITY;
  #wakeAt: MonoMs = Number.POSITIVE_INFINITY;
  #cancelWake: () => void = () => {};

  constructor(clock: Pick<Clock, "mono" | "after">, spec: Pick<WatchSpec, "timeoutMs" | "killGraceMs" | "deadlineMono">, acts: Acts) {
    this.#clock = clock;
    this.#spec = spec;
    this.#acts = acts;
    this.#deadline = spec.deadlineMono ?? Number.POSITIVE_INFINITY;
  }

  get state(): State {
    return this.#state;
  }

  /** What ends or has ended it by force. */
  get cause(): Outcome | undefined {
    return this.#cause;
  }

  /** When KILL was sent. */
  get killedAt(): MonoMs | undefined {
    return this.#state === "killed" ? this.#killAt : undefined;
  }

  /** Too close to the deadline for a start. */
  get isTooLate(): boolean {
    return this.#clock.mono() >= this.#deadline - TERM_BEFORE_MS;
  }

  /** queued → running. */
  begin(startedMono: MonoMs): void {
    this.#state = "running";
    if (this.#spec.timeoutMs > 0) this.#timeoutAt = startedMono + this.#spec.timeoutMs;
    this.#advance();
  }

  /** running → ending: TERM, and KILL after the grace (at most `maxGraceMs`). A later cause changes nothing but may hasten the KILL. */
  end(cause: Outcome, maxGraceMs = Number.POSITIVE_INFINITY): void {
    if (this.#state === "ended") return;
    this.#killAt = Math.min(this.#killAt, this.#clock.mono() + Math.min(this.#spec.killGraceMs, maxGraceMs));
    if (this.#state === "running") {
      this.#state = "ending";
      this.#cause = cause;
      this.#acts.term();
    }
    this.#advance();
  }

  /** Moves the deadline of a run that has one. One that has passed stays passed: what comes later belongs to another lock. */
  extend(deadline: MonoMs, options: { byName: boolean }): void {
    if (this.#deadline === Number.POSITIVE_INFINITY || this.#clock.mono() >= this.#deadline) return;
    if (options.byName) this.#held = false;
    if (this.#held) return;
    this.#deadline = deadline;
    this.#advance();
  }

  /** Another agent is here: the lock under this run is not its own yet. */
  hold(): void {
    this.#held = true;
  }

  /** → ended. */
  finish(): void {
    this.#state = "ended";
    this.#cancelWake();
  }

  /** Does what is due now and sets one timer for what is due next. A timer that is too early only comes back here. */
  #advance(): void {
    const now = this.#clock.mono();
    if (this.#state === "running") {
      const termAt = this.#deadline - TERM_BEFORE_MS;
      if (now < Math.min(this.#timeoutAt, termAt)) return this.#wake(Math.min(this.#timeoutAt, termAt), now);
      this.end(termAt <= this.#timeoutAt ? { type: "lockLost" } : { type: "timeout", afterMs: this.#spec.timeoutMs });
    } else if (this.#state === "ending") {
      const killAt = Math.min(this.#killAt, this.#deadline - KILL_BEFORE_MS);
      if (now < killAt) return this.#wake(killAt, now);
      this.#state = "killed";
      this.#killAt = now;
      this.#acts.kill();
    }
  }

  #wake(at: MonoMs, now: MonoMs): void {
    if (at >= this.#wakeAt || at === Number.POSITIVE_INFINITY) return;
    this.#cancelWake();
    this.#wakeAt = at;
    this.#cancelWake = this.#clock.after(at - now, () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#advance();
    });
  }
}
