import test from "ava";
import { AppError } from "../../base/errors.ts";
import { compileSchedule, type ScheduleInput, scheduleKey } from "./schedule.ts";
import { ticksBetween } from "./ticks.ts";

const MINUTE = 60_000;

test("29 February: leap years, and eight years across 2100", (t) => {
  t.deepEqual(ticks("0 0 29 2 *", "UTC", "2095-01-01T00:00:00Z", 3), [
    "2096-02-29T00:00:00Z",
    "2104-02-29T00:00:00Z",
    "2108-02-29T00:00:00Z",
  ]);
  t.deepEqual(ticks("0 12 29 2 *", "Europe/Berlin", "1999-01-01T00:00:00Z", 2), ["2000-02-29T11:00:00Z", "2004-02-29T11:00:00Z"]);
  t.is(iso(schedule("0 0 29 2 *").lastAtOrBefore(Date.UTC(2103, 0, 1))), "2096-02-29T00:00:00Z");
});

test("29 February on a Sunday is found over 40 years", (t) => {
  t.deepEqual(ticks("0 0 29 2 */7", "UTC", "2088-03-01T00:00:00Z", 1), ["2128-02-29T00:00:00Z"]);
});

test("L, L-3, W, LW, nth and last weekdays", (t) => {
  const days = (timer: string, from: string, count: number): string[] => ticks(timer, "UTC", from, count).map((tick) => tick.slice(0, 10));
  t.deepEqual(days("0 0 L * *", "2028-01-15T00:00:00Z", 4), ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]);
  t.deepEqual(days("0 0 L-3 2 *", "2026-01-01T00:00:00Z", 2), ["2026-02-25", "2027-02-25"]);
  // 2026: 15 August is a Saturday, 15 November a Sunday, 1 August a Saturday, 31 May a Sunday
  t.deepEqual(days("0 0 15W 8,11 *", "2026-01-01T00:00:00Z", 2), ["2026-08-14", "2026-11-16"]);
  t.deepEqual(days("0 0 1W 8 *", "2026-01-01T00:00:00Z", 1), ["2026-08-03"]);
  t.deepEqual(days("0 0 31W 5,6 *", "2026-01-01T00:00:00Z", 2), ["2026-05-29", "2027-05-31"]);
  t.deepEqual(days("0 0 31W 6 MON", "2026-06-28T00:00:00Z", 2), ["2026-06-29", "2027-06-07"]);
  t.deepEqual(days("0 0 LW * *", "2026-05-01T00:00:00Z", 2), ["2026-05-29", "2026-06-30"]);
  t.deepEqual(days("0 0 * * 5L", "2026-01-01T00:00:00Z", 2), ["2026-01-30", "2026-02-27"]);
  t.deepEqual(days("0 0 * * MON#5", "2026-01-01T00:00:00Z", 2), ["2026-03-30", "2026-06-29"]);
});

test("day of month or day of week, and both where one begins with a star", (t) => {
  const days = (timer: string): string[] => ticks(timer, "UTC", "2026-02-01T12:00:00Z", 4).map((tick) => tick.slice(5, 10));
  t.deepEqual(days("0 0 13 * FRI"), ["02-06", "02-13", "02-20", "02-27"]);
  t.deepEqual(days("0 0 4 * FRI"), ["02-04", "02-06", "02-13", "02-20"]);
  t.deepEqual(days("0 0 */10 * SUN"), ["03-01", "05-31", "06-21", "10-11"]);
});

for (const timer of ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 2,4,6,9,11 *", "0 0 31W 2 *", "0 0 L-30 2 *", "0 0 30 2 */2"]) {
  test(`an expression that never fires is refused: ${timer}`, (t) => {
    const error = t.throws(() => schedule(timer), { instanceOf: AppError, message: /never fires: no date has day of month/ });
    t.is(error?.code, "input/invalid");
  });
}

test("a fifth Monday in a February with 29 days does fire", (t) => {
  t.deepEqual(ticks("0 0 * 2 1#5", "UTC", "2026-01-01T00:00:00Z", 1), ["2044-02-29T00:00:00Z"]);
});

test("times that only ever fall into gaps: none, and no endless search", (t) => {
  const input = { dstGap: "skip" } as const;
  t.is(schedule("30 2 8-14 3 */7", "America/New_York", input).nextAfter(Date.UTC(2026, 0, 1)), undefined);
  t.deepEqual(ticks("30 2 8-14 3 */7", "America/New_York", "2026-01-01T00:00:00Z", 1), ["2026-03-08T07:00:00Z"]);
});

test("a gap of an hour: once at its end, or not at all", (t) => {
  const from = "2026-03-28T12:00:00Z";
  t.deepEqual(ticks("30 2 * * *", "Europe/Berlin", from, 2), ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
  t.deepEqual(ticks("*/15 2,3 * * *", "Europe/Berlin", from, 3), ["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z"]);
  t.deepEqual(ticks("30 2 * * *", "Europe/Berlin", from, 1, { dstGap: "skip" }), ["2026-03-30T00:30:00Z"]);
  t.is(iso(schedule("30 2 * * *", "Europe/Berlin").lastAtOrBefore(Date.UTC(2026, 2, 29, 20))), "2026-03-29T01:00:00Z");
});

test("a fold of an hour: first, second or both passes", (t) => {
  const from = "2026-10-24T12:00:00Z";
  t.deepEqual(ticks("30 2 * * *", "Europe/Berlin", from, 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
  t.deepEqual(ticks("30 2 * * *", "Europe/Berlin", from, 2, { dstFold: "second" }), ["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]);
  t.deepEqual(ticks("30 2 * * *", "Europe/Berlin", from, 2, { dstFold: "both" }), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
});

test("the last tick before an instant, around a fold and within an hour", (t) => {
  const before = (timer: string, at: string, more: Partial<ScheduleInput> = {}): string =>
    iso(schedule(timer, "Europe/Berlin", more).lastAtOrBefore(Date.parse(at)));
  t.is(before("30 2 * * *", "2026-10-25T01:45:00Z"), "2026-10-25T00:30:00Z");
  t.is(before("30 2 * * *", "2026-10-25T01:15:00Z", { dstFold: "second" }), "2026-10-24T00:30:00Z");
  t.is(before("0 2 * * *", "2026-10-25T00:30:00Z", { dstFold: "second" }), "2026-10-24T00:00:00Z");
  t.is(before("30 10,20 4 * * *", "2026-06-01T02:20:29Z"), "2026-06-01T02:10:30Z");
  t.is(before("0 10,20 4,6 * * *", "2026-06-01T04:09:00Z"), "2026-06-01T02:20:00Z");
});

test("every hour follows real time through gap and fold, unless a setting says otherwise", (t) => {
  t.deepEqual(ticks("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2), ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]);
  t.deepEqual(ticks("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3, { dstGap: "next" }), [
    "2026-03-29T00:30:00Z",
    "2026-03-29T01:00:00Z",
    "2026-03-29T01:30:00Z",
  ]);
  t.deepEqual(ticks("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 2), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
  t.deepEqual(ticks("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 2, { dstFold: "first" }), [
    "2026-10-25T00:30:00Z",
    "2026-10-25T02:30:00Z",
  ]);
});

for (const [zone, change] of [
  ["Europe/Berlin", "2026-10-25T01:00:00Z"],
  ["Europe/Berlin", "2026-03-29T01:00:00Z"],
  ["Australia/Lord_Howe", "2026-04-04T15:00:00Z"],
  ["Pacific/Chatham", "2026-04-04T14:00:00Z"],
  ["Pacific/Apia", "2011-12-30T10:00:00Z"],
] as const) {
  test(`each second once, without hole or storm, across ${change} in ${zone}`, (t) => {
    const [from, until] = [Date.parse(change) - 100 * MINUTE, Date.parse(change) + 100 * MINUTE];
    const listed = ticksBetween(schedule("* * * * * *", zone), from, until, 20_000);
    t.is(listed.length, 12_000);
    t.true(listed.every((tick, index) => tick === from + (index + 1) * 1000));
  });
}

test("a midnight that does not exist fires when the day begins", (t) => {
  // clocks in São Paulo went from 00:00 to 01:00 on 4 November 2018, in Havana on 8 March 2026
  t.deepEqual(ticks("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2), ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]);
  t.deepEqual(ticks("0 0 * * SUN", "America/Havana", "2026-03-07T12:00:00Z", 1), ["2026-03-08T05:00:00Z"]);
});

test("Apia's lost day, 30 December 2011: once at its end, or not at all; hours go on", (t) => {
  const from = "2011-12-29T21:00:00Z"; // 11:00 on the 29th
  t.deepEqual(ticks("0 9,17 * * *", "Pacific/Apia", from, 3), ["2011-12-30T03:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"]);
  t.deepEqual(ticks("0 9,17 * * *", "Pacific/Apia", from, 2, { dstGap: "skip" }), ["2011-12-30T03:00:00Z", "2011-12-30T19:00:00Z"]);
  t.deepEqual(ticks("0 * 30 12 *", "Pacific/Apia", from, 1), ["2012-12-29T10:00:00Z"]);
});

test("half an hour in Lord Howe, three quarters in Chatham", (t) => {
  // Lord Howe: back from 02:00 to 01:30 at 15:00Z, forward from 02:00 to 02:30 on 3 October at 15:30Z
  t.deepEqual(ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 2), ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
  t.deepEqual(ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 2, { dstFold: "both" }), [
    "2026-04-04T14:45:00Z",
    "2026-04-04T15:15:00Z",
  ]);
  t.deepEqual(ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 1), ["2026-10-03T15:30:00Z"]);
  t.deepEqual(ticks("0 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", 2), ["2026-04-04T15:30:00Z", "2026-04-04T16:30:00Z"]);
  // Chatham: back from 03:45 to 02:45 at 14:00Z
  t.deepEqual(ticks("15 3 * * *", "Pacific/Chatham", "2026-04-04T13:05:00Z", 2), ["2026-04-04T13:30:00Z", "2026-04-05T14:30:00Z"]);
});

test("@every counts from its anchor, not from when it is asked", (t) => {
  const every = schedule("@every 90s", "UTC", { anchorMs: 10_000 });
  t.deepEqual([0, 10_000, 99_999, 100_000, 190_001].map(every.nextAfter), [100_000, 100_000, 100_000, 190_000, 280_000]);
  t.deepEqual([99_999, 100_000, 189_999, 190_000].map(every.lastAtOrBefore), [undefined, 100_000, 100_000, 190_000]);
});

test("@at has one tick, @startup none", (t) => {
  const at = schedule("@at 2027-01-01T00:00:00+01:00");
  const due = Date.UTC(2026, 11, 31, 23);
  t.deepEqual(
    [at.nextAfter(due - 1), at.nextAfter(due), at.lastAtOrBefore(due - 1), at.lastAtOrBefore(due)],
    [due, undefined, undefined, due],
  );
  t.deepEqual([schedule("@startup").nextAfter(0), schedule("@startup").lastAtOrBefore(0)], [undefined, undefined]);
});

test("milliseconds count: strictly later, or at", (t) => {
  const daily = schedule("0 0 * * *");
  const midnight = Date.UTC(2026, 0, 2);
  t.deepEqual(
    [daily.nextAfter(midnight - 1), daily.nextAfter(midnight), daily.nextAfter(midnight + 1)],
    [midnight, midnight + 1440 * MINUTE, midnight + 1440 * MINUTE],
  );
  t.deepEqual(
    [daily.lastAtOrBefore(midnight - 1), daily.lastAtOrBefore(midnight), daily.lastAtOrBefore(midnight + 999)],
    [midnight - 1440 * MINUTE, midnight, midnight],
  );
});

test("ticksBetween is open at the start, closed at the end, and limited", (t) => {
  const minutely = schedule("* * * * *");
  t.deepEqual(ticksBetween(minutely, 0, 3 * MINUTE, 10), [MINUTE, 2 * MINUTE, 3 * MINUTE]);
  t.deepEqual(ticksBetween(minutely, 0, 30 * MINUTE, 2), [MINUTE, 2 * MINUTE]);
  t.deepEqual(ticksBetween(minutely, 0, MINUTE - 1, 2), []);
});

test("unknown zones are refused with a suggestion, aliases are accepted", (t) => {
  for (const [zone, hint] of [
    ["Europe/Berln", /Europe\/Berlin/],
    ["Berlin", /Europe\/Berlin/],
    ["new york", /America\/New_York/],
    ["", /IANA/],
    ["Mars/Olympus_Mons_Base", /IANA/],
  ] as const) {
    const error = t.throws(() => schedule("0 0 * * *", zone), { instanceOf: AppError, message: /time zone ".*" is not known/ });
    t.regex(error?.hint ?? "", hint, zone);
  }
  t.is(schedule("0 0 * * *", "US/Eastern").nextAfter(0), schedule("0 0 * * *", "America/New_York").nextAfter(0));
});

test("schedules are shared where nothing differs", (t) => {
  const key = (timer: string, more: Partial<ScheduleInput> = {}): string =>
    scheduleKey({ timer, timezone: "UTC", hashSeed: "g/a", anchorMs: 1, ...more });
  const other = { hashSeed: "g/b", anchorMs: 2 };
  for (const timer of ["0 9 * * thu", "@hourly", "0 0 * MARCH *", "@at 2027-01-01T00:00:00Z"])
    t.is(key(timer), key(` ${timer}  `, other), timer);
  for (const timer of ["H 9 * * *", "0 0 1,H * *", "h/5 * * * *"]) t.not(key(timer), key(timer, { hashSeed: "g/b" }), timer);
  t.not(key("@every 5m"), key("@every 5m", { anchorMs: 2 }));
  t.is(key("@every 5m"), key("@every 5m", { hashSeed: "g/b" }));
  for (const more of [{ timezone: "Europe/Berlin" }, { dstGap: "skip" }, { dstFold: "both" }] as const)
    t.not(key("0 2 * * *"), key("0 2 * * *", more));
});

test("words for people", (t) => {
  const said = (timer: string, zone = "UTC"): string => schedule(timer, zone, { anchorMs: 0 }).describe();
  t.is(said("*/5 * * * *"), "Every 5 minutes (UTC)");
  t.is(said("30 2 * * 1-5", "Europe/Berlin"), "At 02:30, Monday through Friday (Europe/Berlin)");
  t.is(said("15 30 2 * * TUE#2"), "At 02:30:15, on the second Tuesday of the month (UTC)");
  t.is(said("0 0 13 * FRI"), "At 00:00, on day 13 of the month, or on Friday (UTC)");
  t.is(
    said("0 9 1W,15W,LW * *"),
    "At 09:00, on the weekday nearest day 1, the weekday nearest day 15 and the last weekday of the month (UTC)",
  );
  t.is(said("0 0 LW * *"), "At 00:00, on the last weekday of the month (UTC)");
  t.regex(said("H H * * *"), /^At \d\d:\d\d \(UTC\)$/);
  t.is(said("@daily"), "At 00:00 (UTC)");
  t.is(said("@every 90s"), "Every 1m30s, counted from 1970-01-01T00:00:00.000Z");
  t.is(said("@at 2027-01-01T00:00:00+01:00"), "Once, at 2026-12-31T23:00:00.000Z");
  t.is(said("@startup"), "Once when the agent starts after its host booted");
});

function schedule(timer: string, timezone = "UTC", more: Partial<ScheduleInput> = {}) {
  return compileSchedule({ timer, timezone, hashSeed: "g/j", anchorMs: 0, ...more });
}

function ticks(timer: string, zone: string, after: string, count: number, more: Partial<ScheduleInput> = {}): string[] {
  return ticksBetween(schedule(timer, zone, more), Date.parse(after), Number.MAX_SAFE_INTEGER, count).map((tick) => iso(tick));
}

function iso(ms: number | undefined): string {
  return ms === undefined ? "none" : new Date(ms).toISOString().replace(".000Z", "Z");
}
