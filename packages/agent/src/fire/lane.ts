/**
 * Ticks of one job that etcd's absence has delayed: one line per job, worked off in the order of their due times, one after the other, once
 * etcd answers. Each waits up to `holdFor` for etcd and then gets the verdict `skipped:isolated` (if nobody claimed it). Ticks that come due while the line is not empty join its end.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { ClusterTick } from "./cluster-tick.ts";

const RETRY_MS = 150;
/** A line longer than this takes no more: its job is slower than its schedule. */
const MAX_LANE = 200;

/** What the line asks of the gate, for the tick at its head. */
export type LaneSteps = {
  /** Tries to get the tick; when it is won, runs it to its end. `busy`: try again. Throws when etcd is away. */
  readonly work: (tick: ClusterTick) => Promise<"done" | "busy">;
  readonly isolated: (tick: ClusterTick) => void;
};

export class Lanes {
  readonly #deps: { clock: Clock; log: Log };
  readonly #steps: LaneSteps;
  readonly #lanes = new Map<JobKey, ClusterTick[]>();

  constructor(deps: { clock: Clock; log: Log }, steps: LaneSteps) {
    this.#deps = deps;
    this.#steps = steps;
  }

  get size(): number {
    let sum = 0;
    for (const lane of this.#lanes.values()) sum += lane.length;
    return sum;
  }

  /** Whether later ticks of the job have to queue up behind earlier ones. */
  has(jobKey: JobKey): boolean {
    return this.#lanes.has(jobKey);
  }

  /** Adds a tick in its place; false when the line is full. */
  join(tick: ClusterTick): boolean {
    const lane = this.#lanes.get(tick.job.key);
    if (lane === undefined) {
      const fresh = [tick];
      this.#lanes.set(tick.job.key, fresh);
      void this.#drain(tick.job.key, fresh);
      return true;
    }
    if (lane.length >= MAX_LANE) return false;
    // The head may be at work: never before it.
    let index = lane.length;
    while (index > 1 && (lane[index - 1]?.dueMs ?? 0) > tick.dueMs) index--;
    lane.splice(index, 0, tick);
    return true;
  }

  async #drain(jobKey: JobKey, lane: ClusterTick[]): Promise<void> {
    for (let head = lane[0]; head !== undefined; head = lane[0]) {
      try {
        if ((await this.#steps.work(head)) === "done") lane.shift();
        else await this.#deps.clock.sleep(RETRY_MS);
      } catch (thrown) {
        if (isCode(thrown, "etcd/closed")) return;
        if (!isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/lease-gone")) {
          this.#deps.log.error({ job: jobKey, error: asError(thrown).message }, "cannot claim a held tick");
        }
        this.#expire(lane);
        await this.#deps.clock.sleep(RETRY_MS);
      }
    }
    this.#lanes.delete(jobKey);
  }

  #expire(lane: ClusterTick[]): void {
    const now = this.#deps.clock.mono();
    for (let head = lane[0]; head !== undefined && head.holdUntilMono <= now; head = lane[0]) {
      lane.shift();
      this.#steps.isolated(head);
    }
  }
}
