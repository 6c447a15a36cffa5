/** Timers in words, for people. cronstrue words plain expressions; what it lacks or gets wrong (H, W in lists, either-day) is ours. */
import cronstrue from "cronstrue";
import { type EpochMs, toIso } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import type { CronFields } from "./cron-fields.ts";
import type { Timer } from "./timer.ts";

/** One line such as `At 02:30, Monday through Friday (Europe/Berlin)`. */
export function describeTimer(timer: Timer, timezone: string, anchorMs: EpochMs): string {
  switch (timer.kind) {
    case "startup":
      return "Once when the agent starts after its host booted";
    case "at":
      return `Once, at ${toIso(timer.atMs)}`;
    case "every":
      return `Every ${formatDuration(timer.periodMs)}, counted from ${toIso(anchorMs)}`;
    case "cron":
      return `${describeFields(timer.fields)} (${timezone})`;
  }
}

function describeFields({ texts, bothDays }: CronFields): string {
  const [second = "0", minute = "*", hour = "*", days = "*", month = "*", weekdays = "*"] = texts;
  const time = second === "0" ? [minute, hour] : [second, minute, hour];
  if (!(days.includes(",") && days.includes("W"))) {
    const text = words([...time, days, month, weekdays], bothDays);
    return bothDays ? text : text.replace(", and on ", ", or on ");
  }
  const dates = days.split(",").map(dateWords);
  const list = `${dates.slice(0, -1).join(", ")} and ${dates.at(-1)}`;
  return `${words([...time, "*", month, weekdays], true)}, ${bothDays ? "" : "or "}on ${list} of the month`;
}

function words(fields: readonly string[], bothDays: boolean): string {
  return cronstrue.toString(fields.join(" "), { use24HourTimeFormat: true, logicalAndDayFields: bothDays });
}

/** One item of the day of month as words that "of the month" can follow. */
function dateWords(text: string): string {
  if (text === "L") return "the last day";
  if (text === "LW") return "the last weekday";
  if (text.startsWith("L-")) return `the day ${text.slice(2)} before the last`;
  return text.endsWith("W") ? `the weekday nearest day ${text.slice(0, -1)}` : `day ${text}`;
}
