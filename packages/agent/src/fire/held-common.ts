/**
 * Ticks of `common` jobs with `onIsolation: hold` while etcd is away: one line per job. Each waits up to `holdFor` and then gets the verdict
 * `skipped:isolated`; those that are released run one after the other, in the order of their due times. Ticks that come due before etcd answers, or shortly
 * after, join the line; later ones do not, so that a job slower than its schedule does not stay late for ever.
 */
import type { EpochMs } from "fleetcron-shared/base/clock";
import type { Job } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { Origin } from "../run/execution.ts";
import { type CommonGateDeps, passCommon } from "./common-gate.ts";
import { settledBy } from "./lane.ts";
import { postVerdict } from "./verdicts.ts";

/** Ticks due before `untilMs` join it; undefined: etcd has not answered yet. */
type Line = { last: Promise<void>; untilMs: EpochMs | undefined };

export type TickOrigin = Origin & { readonly type: "tick" };

export class HeldCommon {
  readonly #deps: CommonGateDeps;
  readonly #lines = new Map<JobKey, Line>();
  #size = 0;

  constructor(deps: CommonGateDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes the tick if it has to wait for etcd or for ticks that do; false if it may go on. */
  takes(job: Job, origin: TickOrigin, execution = this.#deps.newId()): boolean {
    const line = this.#lines.get(job.key) ?? { last: Promise.resolve(), untilMs: undefined };
    if (!this.#lines.has(job.key)) {
      if (job.onIsolation !== "hold" || this.#deps.session.current() !== undefined) return false;
      this.#lines.set(job.key, line);
    } else if (origin.dueMs >= (line.untilMs ?? Number.POSITIVE_INFINITY)) return false;
    this.#size++;
    this.#deps.executions.note(execution, job, origin);
    const turn = this.#hold(job, origin, execution, line).finally(() => {
      this.#size--;
      if (line.last === turn) this.#lines.delete(job.key);
    });
    line.last = turn;
    return true;
  }

  async #hold(job: Job, origin: TickOrigin, execution: string, line: Line): Promise<void> {
    const { clock, executions } = this.#deps;
    const before = line.last;
    const back = await this.#etcdIsBack(Math.min(job.holdForMs, job.misfireWindowMs) - Math.max(0, clock.now() - origin.dueMs));
    if (back) line.untilMs ??= settledBy(clock.now());
    await before;
    if (!back || !this.#deps.isCurrentJob(job)) {
      postVerdict(this.#deps, job, origin, { type: "skipped", reason: back ? "cancelled" : "isolated" }, { execution });
      return executions.unshelve(execution);
    }
    const ended = () => Promise.all(executions.of(job.key).map((execution) => execution.ended));
    await ended();
    passCommon(this.#deps, job, origin, { execution });
    await ended();
  }

  async #etcdIsBack(limitMs: number): Promise<boolean> {
    const stop = new AbortController();
    const cancel = this.#deps.clock.after(limitMs, () => stop.abort());
    try {
      await this.#deps.session.trusted(stop.signal);
      return true;
    } catch {
      return false;
    } finally {
      cancel();
    }
  }
}
