/**
 * One timer for the whole plan. It wakes at the earliest due time, at least once a second (so that a clock that was stepped or a machine that
 * slept is noticed), and hands out what is due in batches, so that a burst neither blocks the event loop nor delays its own first starts.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { DueRule, Planner } from "../plan/planner.ts";

const LONGEST_SLEEP_MS = 1000;
const BATCH = 25;
/** Timers come up to a millisecond late: the last stretch before a due time is spent turning the event loop. */
const TURNING_MS = 2;
/** Later than this, the process or its host has stood still; and so long it listens then, before it goes on. */
const STALL_MS = 500;
const LISTEN_MS = 100;

export class Ticker {
  readonly #deps: { clock: Clock; planner: Planner };
  readonly #onDue: (due: readonly DueRule[]) => void;
  #cancel: (() => void) | undefined;
  #armedForMs = 0;
  #hasListened = false;
  #running = false;

  constructor(deps: { clock: Clock; planner: Planner }, onDue: (due: readonly DueRule[]) => void) {
    this.#deps = deps;
    this.#onDue = onDue;
  }

  start(): void {
    this.#running = true;
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#cancel?.();
  }

  /** The plan has changed: something may be due earlier than the timer is armed for. */
  planChanged(): void {
    if (!this.#running) return;
    const next = this.#deps.planner.nextAtMs();
    if (next !== undefined && next < this.#armedForMs) this.#arm();
  }

  #arm(): void {
    this.#cancel?.();
    if (!this.#running) return;
    const now = this.#deps.clock.now();
    const next = this.#deps.planner.nextAtMs() ?? Number.POSITIVE_INFINITY;
    this.#armedForMs = Math.min(next, now + LONGEST_SLEEP_MS);
    const sleepMs = this.#armedForMs - now - (this.#armedForMs === next ? TURNING_MS : 0);
    if (sleepMs > 0) this.#cancel = this.#deps.clock.after(sleepMs, () => this.#wake());
    else this.#cancel = this.#deps.clock.turn(() => this.#wake());
  }

  #wake(): void {
    // After a stall: what has ended meanwhile is heard of first, or it would seem to be under way.
    if (!this.#hasListened && this.#deps.clock.now() - this.#armedForMs > STALL_MS) {
      this.#hasListened = true;
      this.#cancel = this.#deps.clock.after(LISTEN_MS, () => this.#wake());
      return;
    }
    this.#hasListened = false;
    const due = this.#deps.planner.takeDue(this.#deps.clock.now(), BATCH);
    if (due.length > 0) this.#onDue(due);
    this.#arm();
  }
}
