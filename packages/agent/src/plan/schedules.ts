/** Rules with the same expression, zone and DST settings share one compiled schedule, as long as any of them lives. */
import { type Instants, instantsOf, ruleScheduleInput } from "fleetcron-shared/model/calendar/rule-schedule";
import { compileSchedule, type Schedule, scheduleKey } from "fleetcron-shared/model/calendar/schedule";
import type { Job, Rule } from "fleetcron-shared/model/job";

const FIRST_SWEEP = 1000;

export class Schedules {
  readonly #shared = new Map<string, WeakRef<Schedule>>();
  #sweepAt = FIRST_SWEEP;
  readonly #defaultZone: () => string;

  constructor(defaultZone: () => string) {
    this.#defaultZone = defaultZone;
  }

  /** When a `cycle` rule is due, within its `from` and `until`. `startup` has no instants. */
  of(job: Job, rule: Rule, timer: string): { readonly kind: Schedule["kind"]; readonly instants: Instants } {
    const input = ruleScheduleInput(job, rule, timer, this.#defaultZone());
    const key = scheduleKey(input);
    let schedule = this.#shared.get(key)?.deref();
    if (schedule === undefined) {
      schedule = compileSchedule(input);
      this.#shared.set(key, new WeakRef(schedule));
      if (this.#shared.size > this.#sweepAt) this.#sweep();
    }
    return { kind: schedule.kind, instants: instantsOf(rule, schedule) };
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
