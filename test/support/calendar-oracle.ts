/**
 * An independent reading of docs/timers.md, for comparison with the product: every minute of a window is looked at, one by one, with the
 * platform's zone data (Intl), and a matcher of its own. Slow and plain on purpose; shares no code with the product or cron-parser.
 * Offsets of the years used here (1995–2036) change on whole minutes, so seconds only multiply the minutes that match.
 */

export type Policy = { readonly gap?: "next" | "skip"; readonly fold?: "first" | "second" | "both" };
/** What the wall clock shows in each real minute from `startMs` on (in minutes since 1970), and the places where it shows each. */
export type Window = {
  readonly zone: string;
  readonly startMs: number;
  readonly local: readonly number[];
  readonly places: ReadonlyMap<number, readonly number[]>;
};

const MINUTE = 60_000;

/** A function that tells what the wall clock of a zone shows, as if it were UTC. */
export function wallClock(zone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return (ms) => Date.parse(`${format.format(ms).replace(" ", "T")}Z`);
}

/** All instants in `[fromMs, untilMs)` at which the zone's offset changes. */
export function transitionsOf(zone: string, fromMs: number, untilMs: number): number[] {
  const wall = wallClock(zone);
  const found: number[] = [];
  const step = 360 * MINUTE;
  for (let ms = fromMs; ms < untilMs; ms += step) {
    if (wall(ms) - ms === wall(ms + step) - ms - step) continue;
    for (let minute = ms; minute < ms + step; minute += MINUTE) {
      if (wall(minute) + MINUTE !== wall(minute + MINUTE)) found.push(minute + MINUTE);
    }
  }
  return found;
}

/** The minutes of a window of `days` before and after `centreMs` (rounded to whole minutes). */
export function readWindow(zone: string, centreMs: number, days: number): Window {
  const wall = wallClock(zone);
  const startMs = Math.floor(centreMs / MINUTE) * MINUTE - days * 1440 * MINUTE;
  const local = Array.from({ length: 2 * days * 1440 + 1 }, (_, index) => wall(startMs + index * MINUTE) / MINUTE);
  const places = new Map<number, number[]>();
  for (const [index, shown] of local.entries()) {
    const others = places.get(shown);
    if (others === undefined) places.set(shown, [index]);
    else others.push(index);
  }
  return { zone, startMs, local, places };
}

/** Every tick of a 5- or 6-field expression in `[fromMs, untilMs]`, ascending. Stay a day off the window's edges: times there may lack their second pass. */
export function ticksOf(expression: string, window: Window, policy: Policy, fromMs: number, untilMs: number): number[] {
  const words = expression.split(" ");
  const [second, minute, hour, day, month, weekday] = words.length === 6 ? words : ["0", ...words];
  const seconds = range(0, 59).filter((value) => inField(second!, value, 0, 59));
  const minutes = new Set(range(0, 59).filter((value) => inField(minute!, value, 0, 59)));
  const hours = new Set(range(0, 23).filter((value) => inField(hour!, value, 0, 23)));
  const dates = new Map<number, boolean>();
  const everyHour = hours.size === 24;
  const gap = policy.gap ?? (everyHour ? "skip" : "next");
  const fold = policy.fold ?? (everyHour ? "both" : "first");

  function matches(local: number): boolean {
    const inDay = ((local % 1440) + 1440) % 1440;
    if (!minutes.has(inDay % 60) || !hours.has(Math.floor(inDay / 60))) return false;
    const date = Math.floor(local / 1440);
    if (!dates.has(date)) dates.set(date, isDue(date, day!, month!, weekday!));
    return dates.get(date) === true;
  }

  const ticks = new Set<number>();
  for (const [index, local] of window.local.entries()) {
    const ms = window.startMs + index * MINUTE;
    if (ms <= fromMs - MINUTE || ms > untilMs) continue;
    const places = window.places.get(local) ?? [];
    const wanted = fold === "both" || index === (fold === "first" ? places[0] : places.at(-1));
    if (wanted && matches(local)) for (const value of seconds) ticks.add(ms + value * 1000);
    const before = window.local[index - 1];
    if (gap === "skip" || before === undefined) continue;
    for (let skipped = before + 1; skipped < local; skipped++) if (matches(skipped)) ticks.add(ms);
  }
  return [...ticks].filter((ms) => ms >= fromMs && ms <= untilMs).sort((a, b) => a - b);
}

const MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(" ");
const WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split(" ");

/** Whether a date (days since 1970) is due: both day fields when one begins with a star, else either. */
function isDue(date: number, day: string, month: string, weekday: string): boolean {
  const at = new Date(date * 86_400_000);
  const [year, index, dom, dow] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCDay()];
  if (!inField(named(month, MONTHS, 1), index + 1, 1, 12)) return false;
  const length = new Date(Date.UTC(year, index + 1, 0)).getUTCDate();
  const byDay = day.split(",").some((item) => inDays(item, dom, length, (other) => new Date(Date.UTC(year, index, other)).getUTCDay()));
  const byWeekday = named(weekday, WEEKDAYS, 0)
    .split(",")
    .some((item) => inWeekdays(item, dow, dom, length));
  return /^[*?]/.test(day) || /^[*?]/.test(weekday) ? byDay && byWeekday : byDay || byWeekday;
}

function inDays(item: string, dom: number, length: number, weekdayOf: (day: number) => number): boolean {
  if (item === "L") return dom === length;
  if (item.startsWith("L-")) return dom === length - Number(item.slice(2));
  if (!item.endsWith("W")) return inField(item, dom, 1, 31);
  const wanted = item === "LW" ? length : Number(item.slice(0, -1));
  if (wanted > length) return false;
  // the nearest day that is no Saturday or Sunday: of two equally near ones there is none, as weekends have two days
  const workdays = range(1, length).filter((other) => weekdayOf(other) >= 1 && weekdayOf(other) <= 5);
  return dom === workdays.sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
}

function inWeekdays(item: string, dow: number, dom: number, length: number): boolean {
  if (item.endsWith("L")) return dow === Number(item.slice(0, -1)) % 7 && dom > length - 7;
  const [weekday, nth] = item.split("#");
  if (nth !== undefined) return dow === Number(weekday) % 7 && Math.ceil(dom / 7) === Number(nth);
  return inField(item, dow, 0, 7) || (dow === 0 && inField(item, 7, 0, 7));
}

function inField(text: string, value: number, min: number, max: number): boolean {
  return text.split(",").some((item) => {
    const [span = "", step] = item.split("/");
    const [from, to] =
      span === "*" || span === "?"
        ? [min, max]
        : span.includes("-")
          ? span.split("-").map(Number)
          : [Number(span), step === undefined ? Number(span) : max];
    return value >= from! && value <= to! && (value - from!) % Number(step ?? 1) === 0;
  });
}

function named(text: string, names: readonly string[], first: number): string {
  return text.replace(/[A-Z]{3}/g, (name) => String(names.indexOf(name) + first));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
