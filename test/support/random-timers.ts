/** Random cron expressions that favour the hours in which clocks change; the same seed gives the same series. */

/** A seeded source of numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of `choices`. */
export function pick<T>(random: () => number, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)]!;
}

/** A valid expression with 5 or 6 fields, without `H`. */
export function randomTimer(random: () => number): string {
  const int = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
  const one = (...makers: (() => string)[]): string => pick(random, makers)();
  const span = (min: number, max: number): string => {
    const from = int(min, max);
    return `${from}-${int(from, max)}`;
  };
  const list = (make: () => string): string => Array.from({ length: int(1, 3) }, make).join(",");
  const sixty = (): string =>
    one(
      () => "*",
      () => "0",
      () => `*/${pick(random, [2, 5, 10, 15, 20, 30])}`,
      () => list(() => `${int(0, 59)}`),
      () => span(0, 59),
      () => `${int(0, 30)}/${int(3, 29)}`,
      () => `${span(0, 59)}/${int(1, 20)}`,
    );
  const hour = (): string =>
    one(
      () => "*",
      () => "*",
      () => `*/${int(1, 6)}`,
      () => `${int(0, 4)}`,
      () => `${int(0, 3)}`,
      () => list(() => `${int(0, 23)}`),
      () => `${int(0, 2)}-${int(2, 5)}`,
      () => span(0, 23),
      () => "22-23,0-2",
    );
  const day = (): string =>
    one(
      () => "*",
      () => "*",
      () => "*",
      () => "?",
      () => `*/${int(2, 5)}`,
      () => list(() => `${int(1, 31)}`),
      () => span(1, 31),
      () => "L",
      () => `L-${int(1, 6)}`,
      () => `${int(1, 31)}W`,
      () => "LW,1-10",
    );
  const month = (): string =>
    one(
      () => "*",
      () => "*",
      () => "*",
      () => `*/${int(2, 3)}`,
      () => "MAR,SEP-NOV,4,DEC",
      () => span(1, 12),
    );
  const weekday = (): string =>
    one(
      () => "*",
      () => "*",
      () => "*",
      () => "?",
      () => "MON-FRI",
      () => list(() => `${int(0, 7)}`),
      () => `${int(0, 3)}-${int(4, 7)}`,
      () => "SAT,SUN",
      () => `${int(0, 7)}L`,
      () => `${int(0, 7)}#${int(1, 5)},WED`,
      () => "*/2",
    );
  const fields = [sixty(), hour(), day(), month(), weekday()];
  return (random() < 0.2 ? [sixty(), ...fields] : fields).join(" ");
}
