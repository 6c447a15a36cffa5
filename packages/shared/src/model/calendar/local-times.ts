/** The local times that an expression means, as if every day had its 24 hours; gaps and folds come in zoned-ticks.ts. A search goes by field. */
import type { CronFields } from "./cron-fields.ts";
import { createDays } from "./days.ts";

/** Seconds since 1970-01-01T00:00:00 on the local clock, counted as if the zone had no offset. */
export type LocalSec = number;

export type LocalTimes = {
  /** The first match at or after `local`; undefined when there is none in 400 years, thus never. */
  atOrAfter(local: LocalSec): LocalSec | undefined;
  atOrBefore(local: LocalSec): LocalSec | undefined;
};

const DAY = 86_400;

export function createLocalTimes(fields: CronFields): LocalTimes {
  const days = createDays(fields);
  const [hours, minutes, seconds] = [stepper(fields.hours, 24), stepper(fields.minutes, 60), stepper(fields.seconds, 60)];
  const firstTime = hours.first * 3600 + minutes.first * 60 + seconds.first;
  const lastTime = hours.last * 3600 + minutes.last * 60 + seconds.last;

  /** The first time of day at or after `time`, or -1. */
  function timeAtOrAfter(time: number): number {
    const hour = Math.floor(time / 3600);
    const nextHour = hours.atOrAfter(hour);
    if (nextHour !== hour) return nextHour < 0 ? -1 : nextHour * 3600 + minutes.first * 60 + seconds.first;
    const minute = Math.floor(time / 60) % 60;
    const nextMinute = minutes.atOrAfter(minute);
    const second = nextMinute === minute ? seconds.atOrAfter(time % 60) : seconds.first;
    if (nextMinute >= 0 && second >= 0) return hour * 3600 + nextMinute * 60 + second;
    const laterMinute = nextMinute === minute ? minutes.atOrAfter(minute + 1) : -1;
    if (laterMinute >= 0) return hour * 3600 + laterMinute * 60 + seconds.first;
    const laterHour = hours.atOrAfter(hour + 1);
    return laterHour < 0 ? -1 : laterHour * 3600 + minutes.first * 60 + seconds.first;
  }

  /** The last time of day at or before `time`, or -1. */
  function timeAtOrBefore(time: number): number {
    const hour = Math.floor(time / 3600);
    const nextHour = hours.atOrBefore(hour);
    if (nextHour !== hour) return nextHour < 0 ? -1 : nextHour * 3600 + minutes.last * 60 + seconds.last;
    const minute = Math.floor(time / 60) % 60;
    const nextMinute = minutes.atOrBefore(minute);
    const second = nextMinute === minute ? seconds.atOrBefore(time % 60) : seconds.last;
    if (nextMinute >= 0 && second >= 0) return hour * 3600 + nextMinute * 60 + second;
    const earlierMinute = nextMinute === minute ? minutes.atOrBefore(minute - 1) : -1;
    if (earlierMinute >= 0) return hour * 3600 + earlierMinute * 60 + seconds.last;
    const earlierHour = hours.atOrBefore(hour - 1);
    return earlierHour < 0 ? -1 : earlierHour * 3600 + minutes.last * 60 + seconds.last;
  }

  return {
    atOrAfter(local) {
      const day = Math.floor(local / DAY);
      const time = days.has(day) ? timeAtOrAfter(local - day * DAY) : -1;
      if (time >= 0) return day * DAY + time;
      const next = days.atOrAfter(day + 1);
      return next === undefined ? undefined : next * DAY + firstTime;
    },
    atOrBefore(local) {
      const day = Math.floor(local / DAY);
      const time = days.has(day) ? timeAtOrBefore(local - day * DAY) : -1;
      if (time >= 0) return day * DAY + time;
      const previous = days.atOrBefore(day - 1);
      return previous === undefined ? undefined : previous * DAY + lastTime;
    },
  };
}

type Stepper = { readonly first: number; readonly last: number; atOrAfter(value: number): number; atOrBefore(value: number): number };

/** The neighbours of each value 0 … size−1 in a sorted list, looked up in tables; -1 = none. */
function stepper(values: readonly number[], size: number): Stepper {
  const after = new Int8Array(size + 1).fill(-1);
  const before = new Int8Array(size + 1).fill(-1);
  for (const value of values) {
    before.fill(value, value + 1);
    for (let i = value; i >= 0 && after[i] === -1; i--) after[i] = value;
  }
  return {
    first: after[0] ?? -1,
    last: before[size] ?? -1,
    atOrAfter: (value) => after[value] ?? -1,
    // shifted by one, so that asking for -1 is allowed
    atOrBefore: (value) => before[value + 1] ?? -1,
  };
}
