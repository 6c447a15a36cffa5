/** Rules with the same expression, zone and DST settings share one compiled schedule, as long as any of them lives. */
import type { EpochMs } from "fleetcron-shared/base/clock";
import { compileSchedule, type Schedule, scheduleKey } from "fleetcron-shared/model/calendar/schedule";
import type { Job, Rule } from "fleetcron-shared/model/job";

export type Instants = {
  nextAfter(ms: EpochMs): EpochMs | undefined;
  lastAtOrBefore(ms: EpochMs): EpochMs | undefined;
};

const FIRST_SWEEP = 1000;

export class Schedules {
  readonly #shared = new Map<string, WeakRef<Schedule>>();
  #sweepAt = FIRST_SWEEP;
  readonly #defaultZone: () => string;

  constructor(defaultZone: () => string) {
    this.#defaultZone = defaultZone;
  }

  /** The instants at which a `cycle` rule is due, within its `from` and `until`. `@startup` has none. */
  of(job: Job, rule: Rule, timer: string): Schedule | (Instants & { kind: Schedule["kind"] }) {
    const input = {
      timer,
      timezone: rule.timezone ?? this.#defaultZone(),
      hashSeed: job.key,
      anchorMs: job.createdAtMs,
      dstGap: rule.dstGap,
      dstFold: rule.dstFold,
    };
    const key = scheduleKey(input);
    let schedule = this.#shared.get(key)?.deref();
    if (schedule === undefined) {
      schedule = compileSchedule(input);
      this.#shared.set(key, new WeakRef(schedule));
      if (this.#shared.size > this.#sweepAt) this.#sweep();
    }
    return rule.fromMs === undefined && rule.untilMs === undefined ? schedule : bounded(schedule, rule.fromMs, rule.untilMs);
  }

  /** Entries whose schedules nobody holds any more go when the table has doubled. */
  #sweep(): void {
    for (const [key, schedule] of this.#shared) if (schedule.deref() === undefined) this.#shared.delete(key);
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#shared.size);
  }

  get size(): number {
    return this.#shared.size;
  }
}

/** The instants of `schedule` within [from, until]. */
function bounded(schedule: Schedule, fromMs: EpochMs | undefined, untilMs: EpochMs | undefined): Instants & { kind: Schedule["kind"] } {
  return {
    kind: schedule.kind,
    nextAfter(ms) {
      const next = schedule.nextAfter(fromMs === undefined ? ms : Math.max(ms, fromMs - 1));
      return next === undefined || (untilMs !== undefined && next > untilMs) ? undefined : next;
    },
    lastAtOrBefore(ms) {
      const last = schedule.lastAtOrBefore(untilMs === undefined ? ms : Math.min(ms, untilMs));
      return last === undefined || (fromMs !== undefined && last < fromMs) ? undefined : last;
    },
  };
}
