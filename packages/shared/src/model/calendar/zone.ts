/**
 * A time zone as segments of constant offset, derived from the platform's own zone data (Intl) and kept for the life of the zone:
 * converting an instant is then a table lookup. Segments are made per span of 400 days, when somebody first asks about it.
 */

/** Whole seconds since 1970 UTC. */
export type EpochSec = number;

/** `[startSec, endSec)` in which the local clock is UTC + `offsetSec`; `beforeSec`/`afterSec` are the offsets on its two sides (equal where only our span ends). */
export type Segment = {
  readonly startSec: EpochSec;
  readonly endSec: EpochSec;
  readonly offsetSec: number;
  readonly beforeSec: number;
  readonly afterSec: number;
};

export type Zone = {
  readonly name: string;
  /** The segment that holds the instant. */
  at(sec: EpochSec): Segment;
};

const DAY = 86_400;
const SPAN = 400 * DAY;

/** A zone by a name that Intl accepts (RangeError otherwise). */
export function createZone(name: string): Zone {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  const spans = new Map<number, readonly Segment[]>();
  let recent: readonly Segment[] = [];
  let recentSpan = Number.NaN;

  function offsetAt(sec: EpochSec): number {
    const [, sign, hours, minutes, seconds] = /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(format.format(sec * 1000)) ?? [];
    const total = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
    return sign === "-" ? -total : total;
  }

  return {
    name,
    at(sec) {
      const span = Math.floor(sec / SPAN);
      if (span !== recentSpan) {
        recent = spans.get(span) ?? buildSpan(offsetAt, span * SPAN);
        recentSpan = span;
        spans.set(span, recent);
      }
      for (const segment of recent) if (sec < segment.endSec) return segment;
      throw new Error(`no segment of ${name} holds second ${sec}`);
    },
  };
}

/** Samples once a day (no zone has ever changed and changed back within one) and finds the second of each change by bisection. */
function buildSpan(offsetAt: (sec: EpochSec) => number, fromSec: EpochSec): readonly Segment[] {
  const toSec = fromSec + SPAN;
  const changes: { sec: EpochSec; offsetSec: number }[] = [{ sec: fromSec, offsetSec: offsetAt(fromSec) }];
  for (let day = fromSec; day < toSec; day += DAY) {
    const target = offsetAt(day + DAY - 1);
    let known = changes[changes.length - 1];
    while (known !== undefined && known.offsetSec !== target) {
      known = firstChange(offsetAt, Math.max(known.sec, day - 1), day + DAY - 1, known.offsetSec);
      changes.push(known);
    }
  }
  const outside = { before: offsetAt(fromSec - 1), after: offsetAt(toSec) };
  return changes.map(({ sec, offsetSec }, index) => ({
    startSec: sec,
    endSec: changes[index + 1]?.sec ?? toSec,
    offsetSec,
    beforeSec: changes[index - 1]?.offsetSec ?? outside.before,
    afterSec: changes[index + 1]?.offsetSec ?? outside.after,
  }));
}

/** `low` still has `offsetSec`, `high` has another one. */
function firstChange(
  offsetAt: (sec: EpochSec) => number,
  low: EpochSec,
  high: EpochSec,
  offsetSec: number,
): { sec: EpochSec; offsetSec: number } {
  let [same, other] = [low, high];
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (offsetAt(middle) === offsetSec) same = middle;
    else other = middle;
  }
  return { sec: other, offsetSec: offsetAt(other) };
}
