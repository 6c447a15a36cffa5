/**
 * A mark that every process of a run is born with and that a new session, a second fork and an empty environment do not take away: its timer slack, a few
 * nanoseconds of its own above the usual 50 µs, inherited from whoever forks. Only root may read it from others; without, such a daemon is found by its cgroup only.
 */
import { readFileSync } from "node:fs";

const USUAL_NS = 50_000;
const MARKS = 49_999;

export class Birthmarks {
  readonly #used = new Set<number>();
  #last = 0;

  /** A timer slack that no living run has; undefined when there are more runs than marks. */
  take(): number | undefined {
    if (this.#used.size >= MARKS) return undefined;
    do this.#last = (this.#last % MARKS) + 1;
    while (this.#used.has(this.#last));
    this.#used.add(this.#last);
    return USUAL_NS + this.#last;
  }

  release(slackNs: number): void {
    this.#used.delete(slackNs - USUAL_NS);
  }
}

/** Undefined where it cannot be read. */
export function timerSlackOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/timerslack_ns`, "latin1"));
  } catch {
    return undefined;
  }
}
