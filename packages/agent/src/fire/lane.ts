/**
 * Ticks of one job that etcd's absence has delayed: one line per job, worked off in the order of their due times, one after the other, once
 * etcd answers. Each waits up to `holdFor` for etcd and then gets the verdict `skipped:isolated` (if nobody claimed it). Ticks that come due
 * before etcd answers, or shortly after, join its end; later ones do not, so that a job slower than its schedule does not stay late for ever.
 */
import type { Clock, EpochMs } from "fleetcron-shared/base/clock";
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { Executions } from "../run/executions.ts";
import type { ClusterTick } from "./cluster-tick.ts";

const RETRY_MS = 150;
/** A line longer than this takes no more: its job is slower than its schedule. */
const MAX_LANE = 200;

/** Ticks due so long after etcd's return are still delayed by its absence. */
const SETTLING_MS = 5000;

/** `busy`: to be tried again; `behind`: the execution that holds the job's lock. */
export type Worked = "done" | "busy" | { readonly behind: string };

/** What the line asks of the gate, for the tick at its head. */
export type LaneSteps = {
  /** Tries to get the tick; when it is won, runs it to its end. Throws when etcd is away. Ticks due before `untilMs` are delayed like it. */
  readonly work: (tick: ClusterTick, untilMs: EpochMs) => Promise<Worked>;
  readonly isolated: (tick: ClusterTick) => void;
};

/** Ticks due before then are delayed by an absence of etcd that is over at `nowMs`. */
export function settledBy(nowMs: EpochMs): EpochMs {
  return nowMs + SETTLING_MS;
}

type LaneDeps = { readonly clock: Clock; readonly log: Log; readonly executions: Pick<Executions, "onChanged"> };

/** Ticks due before `untilMs` join it; undefined: etcd has not answered yet. */
type Lane = { readonly ticks: ClusterTick[]; untilMs: EpochMs | undefined };

export class Lanes {
  readonly #deps: LaneDeps;
  readonly #steps: LaneSteps;
  readonly #lanes = new Map<JobKey, Lane>();

  constructor(deps: LaneDeps, steps: LaneSteps) {
    this.#deps = deps;
    this.#steps = steps;
  }

  get size(): number {
    let sum = 0;
    for (const lane of this.#lanes.values()) sum += lane.ticks.length;
    return sum;
  }

  has(job: JobKey): boolean {
    return this.#lanes.has(job);
  }

  /** Whether the tick has to queue up behind earlier ones of its job. */
  takes(tick: ClusterTick): boolean {
    const lane = this.#lanes.get(tick.job.key);
    return lane !== undefined && tick.dueMs < (lane.untilMs ?? Number.POSITIVE_INFINITY);
  }

  /** Adds a tick in its place; false when the line is full. `untilMs`: the delay is over, and ticks due before then are delayed by it. */
  join(tick: ClusterTick, untilMs?: EpochMs): boolean {
    const lane = this.#lanes.get(tick.job.key);
    if (lane === undefined) {
      const fresh = { ticks: [tick], untilMs };
      this.#lanes.set(tick.job.key, fresh);
      this.#deps.executions.onChanged();
      void this.#drain(tick.job.key, fresh);
      return true;
    }
    const { ticks } = lane;
    if (ticks.length >= MAX_LANE) return false;
    // The head may be at work: never before it.
    let index = ticks.length;
    while (index > 1 && (ticks[index - 1]?.dueMs ?? 0) > tick.dueMs) index--;
    ticks.splice(index, 0, tick);
    this.#deps.executions.onChanged();
    return true;
  }

  async #drain(jobKey: JobKey, lane: Lane): Promise<void> {
    const { ticks } = lane;
    let told = "";
    for (let head = ticks[0]; head !== undefined; head = ticks[0]) {
      try {
        const worked = await this.#steps.work(head, lane.untilMs ?? settledBy(this.#deps.clock.now()));
        lane.untilMs ??= settledBy(this.#deps.clock.now());
        if (worked === "done") this.#shift(ticks);
        else if (worked === "busy" || !bringForward(ticks, worked.behind)) await this.#deps.clock.sleep(RETRY_MS);
      } catch (thrown) {
        if (isCode(thrown, "etcd/closed")) return;
        const error = asError(thrown).message;
        // It is asked again and again.
        if (!isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/lease-gone") && error !== told) {
          this.#deps.log.error({ job: jobKey, error }, "cannot claim a held tick");
          told = error;
        }
        this.#expire(ticks);
        await this.#deps.clock.sleep(RETRY_MS);
      }
    }
    this.#lanes.delete(jobKey);
  }

  #expire(ticks: ClusterTick[]): void {
    const now = this.#deps.clock.mono();
    for (let head = ticks[0]; head !== undefined && head.holdUntilMono <= now; head = ticks[0]) {
      this.#shift(ticks);
      this.#steps.isolated(head);
    }
  }

  #shift(ticks: ClusterTick[]): void {
    ticks.shift();
    this.#deps.executions.onChanged();
  }
}

/** A tick whose claim has been stored, though its answer was lost, has the lock that the head waits for: it goes first. False: it is not in this line. */
function bringForward(ticks: ClusterTick[], execution: string): boolean {
  const index = ticks.findIndex((tick) => tick.execution === execution);
  if (index > 0) ticks.unshift(...ticks.splice(index, 1));
  return index > 0;
}
