/**
 * Which dates an expression means: month by month as bit masks, so that a search costs a few operations per month and the
 * question "ever?" is answered exactly: dates and weekdays repeat after 400 years.
 */

import type { CronFields } from "./cron-fields.ts";
import type { DayRule } from "./cron-item.ts";

/** Days since 1970-01-01. */
export type EpochDay = number;

export type Days = {
  has(day: EpochDay): boolean;
  /** The first matching day at or after `day`, or undefined when there is none in 400 years. */
  atOrAfter(day: EpochDay): EpochDay | undefined;
  atOrBefore(day: EpochDay): EpochDay | undefined;
};

const DAY_MS = 86_400_000;
const CYCLE_MONTHS = 400 * 12;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

type DateFields = Pick<CronFields, "days" | "months" | "weekdays" | "dayRules" | "weekdayRules" | "bothDays">;

export function createDays(fields: DateFields): Days {
  const months = new Set(fields.months);
  // the month asked last: a schedule is nearly always asked about one month again and again
  let memo = { month: Number.NaN, first: Number.NaN, mask: 0 };

  /** `index` counts months since year 0. */
  function month(index: number): typeof memo {
    if (memo.month !== index) {
      const first = Date.UTC(Math.floor(index / 12), mod(index, 12), 1) / DAY_MS;
      memo = { month: index, first, mask: months.has(mod(index, 12) + 1) ? monthMask(fields, index, first) : 0 };
    }
    return memo;
  }

  function monthOf(day: EpochDay): number {
    if (day >= memo.first && day < memo.first + 28) return memo.month;
    const date = new Date(day * DAY_MS);
    return date.getUTCFullYear() * 12 + date.getUTCMonth();
  }

  return {
    has(day) {
      const { first, mask } = month(monthOf(day));
      return ((mask >>> (day - first)) & 1) === 1;
    },
    atOrAfter(day) {
      const start = monthOf(day);
      for (let index = start; index <= start + CYCLE_MONTHS; index++) {
        if (!months.has(mod(index, 12) + 1)) continue;
        const { first, mask } = month(index);
        const rest = index === start ? mask & (-1 << (day - first)) : mask;
        if (rest !== 0) return first + 31 - Math.clz32(rest & -rest);
      }
      return undefined;
    },
    atOrBefore(day) {
      const start = monthOf(day);
      for (let index = start; index >= start - CYCLE_MONTHS; index--) {
        if (!months.has(mod(index, 12) + 1)) continue;
        const { first, mask } = month(index);
        const rest = index === start ? mask & (-1 >>> (31 - (day - first))) : mask;
        if (rest !== 0) return first + 31 - Math.clz32(rest);
      }
      return undefined;
    },
  };
}

/** Bit n−1 stands for day n. */
function monthMask(fields: DateFields, index: number, first: EpochDay): number {
  const length = daysInMonth(Math.floor(index / 12), mod(index, 12));
  const firstWeekday = mod(first + 4, 7);
  const weekdayOf = (day: number): number => (firstWeekday + day - 1) % 7;
  let byDate = 0;
  for (const day of fields.days) if (day <= length) byDate |= bit(day);
  for (const rule of fields.dayRules) byDate |= ruleMask(rule, length, weekdayOf);
  let byWeekday = 0;
  for (const weekday of fields.weekdays) for (let day = 1 + mod(weekday - firstWeekday, 7); day <= length; day += 7) byWeekday |= bit(day);
  for (const rule of fields.weekdayRules) byWeekday |= ruleMask(rule, length, weekdayOf);
  return fields.bothDays ? byDate & byWeekday : byDate | byWeekday;
}

function ruleMask(rule: DayRule, length: number, weekdayOf: (day: number) => number): number {
  switch (rule.kind) {
    case "beforeLast":
      return rule.days < length ? bit(length - rule.days) : 0;
    case "workdayNear":
      return rule.day > length ? 0 : bit(workdayNear(rule.day, length, weekdayOf(rule.day)));
    case "lastWorkday":
      return bit(workdayNear(length, length, weekdayOf(length)));
    case "lastWeekday":
      return bit(length - mod(weekdayOf(length) - rule.weekday, 7));
    case "nthWeekday": {
      const day = 1 + mod(rule.weekday - weekdayOf(1), 7) + 7 * (rule.nth - 1);
      return day > length ? 0 : bit(day);
    }
  }
}

/** Monday to Friday nearest to `day`, never in another month. */
function workdayNear(day: number, length: number, weekday: number): number {
  if (weekday === 6) return day === 1 ? 3 : day - 1;
  if (weekday === 0) return day === length ? day - 2 : day + 1;
  return day;
}

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 1 && leap ? 29 : (MONTH_DAYS[month] ?? 31);
}

function bit(day: number): number {
  return 1 << (day - 1);
}

function mod(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
