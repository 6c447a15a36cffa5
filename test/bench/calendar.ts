/** How many next ticks per second the calendar computes, beside cron-parser's own `next` in the same run. By itself: `node test/bench/calendar.ts`. */
import { CronExpressionParser } from "cron-parser";
import { systemClock } from "fleetcron-shared/base/clock";
import { compileSchedule } from "fleetcron-shared/model/calendar/schedule";

/** Calls per second of ours (`next`, `previous`) and of cron-parser; `ratio` = next / cronParser; both undefined where cron-parser lacks the syntax. */
export type CalendarRow = {
  readonly timer: string;
  readonly zone: string;
  readonly next: number;
  readonly previous: number;
  readonly cronParser: number | undefined;
  readonly ratio: number | undefined;
};

const CASES: readonly (readonly [timer: string, zone: string])[] = [
  ["* * * * * *", "UTC"],
  ["*/5 * * * *", "UTC"],
  ["*/5 * * * *", "America/New_York"],
  ["30 2 * * *", "Europe/Berlin"],
  ["0 9 * * 1-5", "America/New_York"],
  ["0 0 1 * *", "Australia/Lord_Howe"],
  ["0 0 13 * 5", "Asia/Kathmandu"],
  ["0 3 LW * *", "Europe/Berlin"],
  ["0 0 29 2 *", "America/New_York"],
];
const START_MS = Date.UTC(2026, 0, 1);
const END_MS = Date.UTC(2036, 0, 1);

/** Walks each expression from tick to tick through ten years, again and again, for about `budgetMs` per figure. */
export function benchCalendar(budgetMs = 300): CalendarRow[] {
  return CASES.map(([timer, timezone]) => {
    const schedule = compileSchedule({ timer, timezone, hashSeed: "bench/job", anchorMs: START_MS });
    const next = rate(budgetMs, (ms) => schedule.nextAfter(ms) ?? END_MS);
    const back = rate(budgetMs, (ms) => START_MS + END_MS - (schedule.lastAtOrBefore(START_MS + END_MS - ms - 1) ?? START_MS));
    const raw = timer.includes("W") ? undefined : rateOfCronParser(budgetMs, timer, timezone);
    return { timer, zone: timezone, next, previous: back, cronParser: raw, ratio: raw === undefined ? undefined : next / raw };
  });
}

function rateOfCronParser(budgetMs: number, timer: string, timezone: string): number {
  const expression = CronExpressionParser.parse(timer, { tz: timezone, currentDate: START_MS });
  return rate(budgetMs, (ms) => {
    if (ms === START_MS) expression.reset(new Date(START_MS));
    return expression.next().getTime();
  });
}

function rate(budgetMs: number, step: (ms: number) => number): number {
  const begin = systemClock.mono();
  let ms = START_MS;
  let calls = 0;
  let spent = 0;
  while (spent < budgetMs) {
    for (let batch = 0; batch < 50; batch++) ms = ms >= END_MS ? START_MS : step(ms);
    calls += 50;
    spent = systemClock.mono() - begin;
  }
  return Math.round((calls / spent) * 1000);
}

if (import.meta.main) {
  console.log(
    `${"timer".padEnd(16)}${"zone".padEnd(22)}${"next/s".padStart(12)}${"previous/s".padStart(12)}${"cron-parser/s".padStart(15)}${"ratio".padStart(8)}`,
  );
  for (const row of benchCalendar()) {
    const [raw, ratio] = [row.cronParser?.toLocaleString("en") ?? "-", row.ratio?.toFixed(1) ?? "-"];
    const ours = row.next.toLocaleString("en").padStart(12) + row.previous.toLocaleString("en").padStart(12);
    console.log(`${row.timer.padEnd(16)}${row.zone.padEnd(22)}${ours}${raw.padStart(15)}${ratio.padStart(8)}`);
  }
}
