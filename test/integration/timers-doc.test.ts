/** docs/timers.md is true: each timer of its tables is compiled, and its words and ticks are those of the page. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { compileSchedule, type ScheduleInput } from "fleetcron-shared/model/calendar/schedule";
import { ticksBetween } from "fleetcron-shared/model/calendar/ticks";

const ZONE = "Europe/Berlin";
const page = readFileSync(join(import.meta.dirname, "../../docs/timers.md"), "utf8");

/** The rows of the table with these column titles, from the n-th such column on. */
function rowsOf(title: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(title));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

function compile(timer: string, more: Partial<ScheduleInput> = {}) {
  return compileSchedule({ timer: timer.replaceAll("`", ""), timezone: "UTC", hashSeed: "g/j", anchorMs: 0, ...more });
}

test("the words of the examples", (t) => {
  const rows = rowsOf("| example | in words");
  t.true(rows.length >= 8);
  for (const [timer = "", words] of rows) t.is(compile(timer).describe(), words ?? "");
});

for (const [field, from, until] of [
  ["dstGap", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"],
  ["dstFold", "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z"],
] as const) {
  test(`the ticks of the table for ${field}`, (t) => {
    const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE, hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
    const rows = rowsOf(`| timer | ${field} `);
    t.true(rows.length >= 7);
    for (const [timer = "", setting = "", expected] of rows) {
      const values = [...setting.matchAll(/`(\w+)`/g)].map((match) => match[1]);
      for (const value of setting.startsWith("not set") ? [undefined, ...values] : values) {
        const schedule = compile(timer, { timezone: ZONE, [field]: value });
        const ticks = ticksBetween(schedule, Date.parse(from) - 1, Date.parse(until) - 1, 50).map((ms) => clock.format(ms));
        t.is(ticks.join(", ") || "none", expected ?? "", `${timer} with ${field} ${value}`);
      }
    }
  });
}
