import test from "ava";
import { AppError } from "../../base/errors.ts";
import { parseTimer } from "./timer.ts";

/** Timer, what the message must contain, what the hint must contain. */
const REFUSED: readonly (readonly [timer: string, message: RegExp, hint: RegExp | undefined])[] = [
  ["", /timer is empty; expected 5 fields/, /\* \* \* \* \*/],
  ["   ", /timer is empty/, /\* \* \* \* \*/],
  ["*", /1 field; expected 5/, undefined],
  ["* * * *", /4 fields; expected 5 fields \(minute, hour, day of month, month, day of week\) or 6 \(second first\)/, undefined],
  ["0 0 0 1 1 * 2027", /7 fields/, /year field is not supported/],
  ["1 2 3 4 5 6 7 8", /8 fields/, undefined],
  ["60 * * * *", /minute "60": 60 is out of range/, /0-59/],
  ["* 24 * * *", /hour "24": 24 is out of range/, /0-23/],
  ["* * 0 * *", /day of month "0": 0 is out of range/, /1-31/],
  ["* * * 13 *", /month "13": 13 is out of range/, /1-12/],
  ["* * * * 8", /day of week "8": 8 is out of range/, /0 and 7 are Sunday/],
  ["0 0 * * */8", /day of week "\*\/8": the step 8 is out of range/, /1-7$/],
  ["61 * * * * *", /second "61": 61 is out of range/, /0-59/],
  ["1-70 * * * *", /minute "1-70": 70 is out of range/, /0-59/],
  ["*/100 * * * *", /minute "\*\/100": the step 100 is out of range/, /1-60; .*@every 100m/],
  ["*/0 * * * *", /minute "\*\/0": the step 0 is out of range/, /1-60$/],
  ["0 H/30 * * *", /hour "H\/30": the step 30/, /@every 30h/],
  ["H(0-99) * * * *", /minute "H\(0-99\)": 99 is out of range/, /0-59/],
  ["0 H(9-3) * * *", /the range runs backwards/, /smaller value first/],
  ["0 22-2 * * *", /hour "22-2": the range runs backwards/, /write 22-23,0-2/],
  ["0 0 * * FRI-MON", /day of week "FRI-MON": the range runs backwards/, /write 5-7,0-1/],
  ["0 0 * JANU *", /month "JANU"/, /did you mean "JAN"/],
  ["0 0 * * MODNAY", /"MODNAY" is not a name/, /MON|allowed/],
  ["0 0 FOO * *", /day of month "FOO": "FOO" is not a name/, /15W or LW/],
  ["0 W * * *", /hour "W" is not understood/, /allowed/],
  ["0 0 L-31 * *", /day of month "L-31": 31 days before the last/, /L-1 … L-30/],
  ["0 0 32W * *", /"32W" is out of range/, /1W … 31W/],
  ["0 0 * * L", /does not say which weekday/, /5L or FRIL/],
  ["0 0 * * 9L", /day of week "9L": 9 is out of range/, /0-7/],
  ["0 0 * * 2#6", /no weekday number 6/, /#1 … #5/],
  ["0,,5 * * * *", /minute "0,,5" has an empty list item/, /single commas/],
  ["1-2-3 * * * *", /minute "1-2-3" is not understood/, /allowed/],
  ["**/5 * * * *", /is not understood/, /allowed/],
  ["-5 * * * *", /minute "-5" is not understood/, /allowed/],
  ["1.5 * * * *", /is not understood/, /allowed/],
  ["0 0 * * * ; rm -rf /", /fields/, undefined],
  [`${"1,".repeat(600)}1 * * * *`, /1209 characters; at most 1000/, undefined],
  ["90s", /"90s" is a duration/, /@every 90s/],
  ["2027-01-01T00:00:00Z", /is a date/, /@at/],
  ["daily", /needs an @/, /@daily/],
  ["@dialy", /@dialy is not known/, /did you mean "@daily"/],
  ["@reboot", /@reboot is not known/, /@startup/],
  ["@daily 5", /stands alone/, /@daily only/],
  ["@startup now", /stands alone/, /@startup only/],
  ["@every", /needs a duration/, /90s/],
  ["@every 90", /"90" is not a duration/, /90s/],
  ["@every -5s", /is not a duration/, /90s/],
  ["@every 999ms", /shorter than a second/, /1s/],
  ["@every 9999999d", /longer than a century/, /36500d/],
  ["@at", /needs a point in time/, /offset/],
  ["@at tomorrow", /not a time in RFC 3339/, /2027-01-01T/],
  ["@at 2027-01-01T00:00:00", /no offset/, /2027-01-01T00:00:00Z is UTC/],
  ["@at 2027-13-01T00:00:00Z", /not a time/, /offset/],
];

for (const [timer, message, hint] of REFUSED) {
  test(`refuses "${timer.slice(0, 40)}"`, (t) => {
    const error = t.throws(() => parseTimer(timer, "g/j"), { instanceOf: AppError, message });
    t.is(error?.code, "input/invalid");
    if (hint === undefined) t.is(error?.hint, undefined);
    else t.regex(error?.hint ?? "", hint);
  });
}

test("every wrong field is reported at once", (t) => {
  const error = t.throws(() => parseTimer("75 25 0 13 9", "g/j"), { instanceOf: AppError });
  t.deepEqual(
    error?.issues.map((issue) => issue.message.split(' "')[0]),
    ["minute", "hour", "day of month", "month", "day of week"],
  );
});

test("fields become sorted values", (t) => {
  const fields = fieldsOf("30,5 10/15 8-18/5 ? mar-may,dec,4 sun,1,FRI-SUN");
  t.deepEqual(fields.seconds, [5, 30]);
  t.deepEqual(fields.minutes, [10, 25, 40, 55]);
  t.deepEqual(fields.hours, [8, 13, 18]);
  t.deepEqual(fields.months, [3, 4, 5, 12]);
  t.deepEqual(fields.weekdays, [0, 1, 5, 6]);
  t.is(fields.days.length, 31);
});

test("lists whose items overlap are accepted", (t) => {
  t.deepEqual(fieldsOf("1-5,3,3 * * * *").minutes, [1, 2, 3, 4, 5]);
  t.deepEqual(fieldsOf("0 0 * * 0,7").weekdays, [0]);
  t.deepEqual(fieldsOf("0 0 30,1 2,3 *").days, [1, 30]);
});

test("a day field that begins with a star, or is ?, makes both day fields count", (t) => {
  for (const timer of ["0 0 * * 1", "0 0 1 * *", "0 0 */2 * 1", "0 0 ? * 1", "0 0 1-7 * */7"]) t.true(fieldsOf(timer).bothDays, timer);
  for (const timer of ["0 0 1 * 1", "0 0 L * 5", "0 0 1-31 * 1", "0 0 H * 1"]) t.false(fieldsOf(timer).bothDays, timer);
});

test("day rules are read with names and numbers", (t) => {
  t.deepEqual(fieldsOf("0 0 L,L-3,15W,LW * *").dayRules, [
    { kind: "beforeLast", days: 0 },
    { kind: "beforeLast", days: 3 },
    { kind: "workdayNear", day: 15 },
    { kind: "lastWorkday" },
  ]);
  t.deepEqual(fieldsOf("0 0 * * FRIL,7L,TUE#2,0#5").weekdayRules, [
    { kind: "lastWeekday", weekday: 5 },
    { kind: "lastWeekday", weekday: 0 },
    { kind: "nthWeekday", weekday: 2, nth: 2 },
    { kind: "nthWeekday", weekday: 0, nth: 5 },
  ]);
});

test("shorthands are what crontab says, in any case", (t) => {
  t.deepEqual(fieldsOf("@weekly"), fieldsOf("0 0 * * 0"));
  t.deepEqual(fieldsOf("@Annually"), fieldsOf("@yearly"));
  t.deepEqual(fieldsOf("@midnight"), fieldsOf("0 0 * * *"));
  t.deepEqual(parseTimer("@EVERY 1h30m", ""), { kind: "every", periodMs: 5_400_000 });
  t.deepEqual(parseTimer("@at 2027-01-01T00:00:00+01:00", ""), { kind: "at", atMs: Date.UTC(2026, 11, 31, 23) });
  t.deepEqual(parseTimer(" @startup ", ""), { kind: "startup" });
});

test("H is stable for a seed, within its range, and the same in 5 and 6 fields", (t) => {
  t.deepEqual(fieldsOf("H H H H H", "db/backup"), fieldsOf("0 H H H H H", "db/backup"));
  // pinned: a changed hash would move every user's schedule
  const pinned = fieldsOf("H H * * *", "db/backup");
  t.deepEqual([pinned.minutes, pinned.hours], [[15], [22]]);
  for (let n = 0; n < 300; n++) {
    const fields = fieldsOf("H(10-19) H/6 H * H", `g/job${n}`);
    t.true(fields.minutes.length === 1 && fields.minutes.every((minute) => minute >= 10 && minute <= 19));
    t.deepEqual(
      fields.hours.map((hour) => hour - (fields.hours[0] ?? 0)),
      [0, 6, 12, 18],
    );
    t.true(
      fields.days.every((day) => day >= 1 && day <= 28),
      "a hashed day occurs in every month",
    );
    t.true(fields.weekdays.every((weekday) => weekday >= 0 && weekday <= 6));
  }
});

test("H spreads jobs over its range", (t) => {
  const perMinute = Array.from({ length: 60 }, () => 0);
  for (let n = 0; n < 6000; n++) {
    const minute = fieldsOf("H * * * *", `group/job-${n}`).minutes[0] ?? 0;
    perMinute[minute] = (perMinute[minute] ?? 0) + 1;
  }
  t.true(Math.min(...perMinute) > 60 && Math.max(...perMinute) < 150, perMinute.join(" "));
});

function fieldsOf(timer: string, seed = "g/j") {
  const parsed = parseTimer(timer, seed);
  if (parsed.kind !== "cron") throw new Error(`${timer} is no cron expression`);
  return parsed.fields;
}
