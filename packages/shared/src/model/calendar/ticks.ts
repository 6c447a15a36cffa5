/** Lists of ticks of a schedule. */
import type { EpochMs } from "../../base/clock.ts";
import type { Schedule } from "./schedule.ts";

/** The ticks in `(afterMs, untilMs]`, ascending, at most `limit`. */
export function ticksBetween(schedule: Pick<Schedule, "nextAfter">, afterMs: EpochMs, untilMs: EpochMs, limit: number): EpochMs[] {
  const ticks: EpochMs[] = [];
  let tick = schedule.nextAfter(afterMs);
  while (tick !== undefined && tick <= untilMs && ticks.length < limit) {
    ticks.push(tick);
    tick = schedule.nextAfter(tick);
  }
  return ticks;
}
