/** Time-ordered ids (ULID: 48 bits of milliseconds, 80 random bits, Crockford base 32), monotone within one generator. */
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;

/** Makes ids: `newId()` for now, `newId(atMs)` for another instant; later calls of one generator sort later for equal instants. */
export type IdSource = (atMs?: number) => string;

export function createIdSource(deps: { clock: Pick<Clock, "now">; random: Random }): IdSource {
  let lastMs = -1;
  let lastRandom: number[] = [];
  return (atMs) => {
    const ms = Math.max(0, atMs ?? deps.clock.now());
    if (ms === lastMs) increment(lastRandom);
    else lastRandom = Array.from(deps.random.bytes(RANDOM_LENGTH), (byte) => byte & 31);
    lastMs = ms;
    return encodeTime(ms) + lastRandom.map((digit) => ALPHABET[digit]).join("");
  };
}

/** The smallest id of an instant: a bound for range reads and deletes. */
export function firstIdAt(ms: number): string {
  return encodeTime(Math.max(0, ms)) + "0".repeat(RANDOM_LENGTH);
}

/** The instant an id was made for, or undefined when `id` does not begin like one of ours. */
export function idTimeMs(id: string): number | undefined {
  if (!/^[0-9A-HJKMNP-TV-Z]{26}/.test(id)) return undefined;
  let ms = 0;
  for (const char of id.slice(0, TIME_LENGTH)) ms = ms * 32 + ALPHABET.indexOf(char);
  return ms;
}

function encodeTime(ms: number): string {
  let text = "";
  let rest = Math.floor(ms);
  for (let i = 0; i < TIME_LENGTH; i++) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function increment(digits: number[]): void {
  for (let i = digits.length - 1; i >= 0; i--) {
    const digit = digits[i] ?? 0;
    if (digit < 31) {
      digits[i] = digit + 1;
      return;
    }
    digits[i] = 0;
  }
}
