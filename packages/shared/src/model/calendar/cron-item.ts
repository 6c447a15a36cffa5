/**
 * One item of one cron field (`5`, `MON-FRI`, `10-50/20`, `H(0-29)`, `LW`, `2#3` …): checks it with messages for people and says what it is.
 * Items that are plain values go on to cron-parser (cron-fields.ts); the day rules with L, W and # are ours.
 */
import { suggestHint } from "../../base/suggest.ts";

/** A day that only the month itself can tell. Weekdays are 0 (Sunday) … 6. */
export type DayRule =
  | { readonly kind: "beforeLast"; readonly days: number }
  | { readonly kind: "workdayNear"; readonly day: number }
  | { readonly kind: "lastWorkday" }
  | { readonly kind: "lastWeekday"; readonly weekday: number }
  | { readonly kind: "nthWeekday"; readonly weekday: number; readonly nth: number };

export type FieldName = "second" | "minute" | "hour" | "day of month" | "month" | "day of week";

type FieldShape = {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
  readonly hash: string;
  readonly forms: string;
};

const NUMBERS = "a value, a list 1,5, a range 1-5, a step */5 or a hash H";

/** What each field holds; `names` start at the field's least value; `hash` is what a bare `H` draws from. */
const FIELDS: Readonly<Record<FieldName, FieldShape>> = {
  second: { min: 0, max: 59, names: [], hash: "0-59", forms: NUMBERS },
  minute: { min: 0, max: 59, names: [], hash: "0-59", forms: NUMBERS },
  hour: { min: 0, max: 23, names: [], hash: "0-23", forms: NUMBERS },
  "day of month": { min: 1, max: 31, names: [], hash: "1-28", forms: `${NUMBERS}, L, L-3, 15W or LW` },
  month: {
    min: 1,
    max: 12,
    names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    hash: "1-12",
    forms: `${NUMBERS}, or names JAN … DEC`,
  },
  "day of week": {
    min: 0,
    max: 7,
    names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    hash: "0-6",
    forms: `${NUMBERS}, names SUN … SAT, 5L or 2#3`,
  },
};

/** `values`: text that cron-parser expands · `rule`: a day rule · `message`: why the item is refused. */
export type Item =
  | { readonly values: string; readonly hashed: boolean }
  | { readonly rule: DayRule; readonly text: string }
  | { readonly message: string; readonly hint: string };

/** Checks one item of a field. `text` is upper case already. */
export function parseItem(field: FieldName, text: string): Item {
  const shape = FIELDS[field];
  const words = replaceNames(field, text);
  if (words.unknown !== undefined) {
    const hint = shape.names.length > 0 ? suggestHint(words.unknown, shape.names) : `allowed: ${shape.forms}`;
    return { message: `${field} "${text}": "${words.unknown}" is not a name that this field knows`, hint };
  }
  const rule = field === "day of month" ? dayRule(words.text) : field === "day of week" ? weekdayRule(words.text) : undefined;
  if (rule !== undefined) return "message" in rule ? rule : { rule, text: words.text };
  return parseValues(field, shape, text, words.text);
}

function replaceNames(field: FieldName, text: string): { text: string; unknown?: string } {
  const { names, min } = FIELDS[field];
  let unknown: string | undefined;
  const numbers = text.replace(/[A-Z]{2,}/g, (word) => {
    const last = word.length === 4 && word.endsWith("L") && field === "day of week" ? "L" : "";
    const index = names.indexOf(last === "" ? word : word.slice(0, -1));
    if (index >= 0) return `${index + min}${last}`;
    if (!(field === "day of month" && word === "LW")) unknown ??= word;
    return word;
  });
  // FRI-SUN: a range that ends on Sunday ends on 7
  const ordered = field === "day of week" ? numbers.replace(/^([1-6])-0(?=$|\/)/, "$1-7") : numbers;
  return unknown === undefined ? { text: ordered } : { text: ordered, unknown };
}

function dayRule(text: string): DayRule | { message: string; hint: string } | undefined {
  if (text === "L") return { kind: "beforeLast", days: 0 };
  if (text === "LW") return { kind: "lastWorkday" };
  const [, back, near] = /^(?:L-(\d+)|(\d+)W)$/.exec(text) ?? [];
  if (back !== undefined) {
    if (inRange(back, 1, 30)) return { kind: "beforeLast", days: Number(back) };
    return { message: `day of month "${text}": ${back} days before the last day`, hint: "allowed: L-1 … L-30" };
  }
  if (near === undefined) return undefined;
  if (inRange(near, 1, 31)) return { kind: "workdayNear", day: Number(near) };
  return { message: `day of month "${text}" is out of range`, hint: "allowed: 1W … 31W, LW" };
}

function weekdayRule(text: string): DayRule | { message: string; hint: string } | undefined {
  if (text === "L") return { message: `day of week "L" does not say which weekday`, hint: "write 5L or FRIL for the month's last Friday" };
  const [, weekday, letter, nth] = /^(\d+)(?:(L)|#(\d+))$/.exec(text) ?? [];
  if (weekday === undefined) return undefined;
  if (!inRange(weekday, 0, 7))
    return { message: `day of week "${text}": ${weekday} is out of range`, hint: "allowed: 0-7 (0 and 7 are Sunday)" };
  if (letter !== undefined) return { kind: "lastWeekday", weekday: Number(weekday) % 7 };
  if (nth !== undefined && inRange(nth, 1, 5)) return { kind: "nthWeekday", weekday: Number(weekday) % 7, nth: Number(nth) };
  return { message: `day of week "${text}": a month has no weekday number ${nth}`, hint: "allowed: #1 … #5, or L for the last" };
}

function parseValues(field: FieldName, shape: FieldShape, given: string, text: string): Item {
  const parts = /^(?:\*|(\d+)(?:-(\d+))?|(H)(?:\((\d+)-(\d+)\))?)(?:\/(\d+))?$/.exec(text);
  if (parts === null) return { message: `${field} "${given}" is not understood`, hint: `allowed: ${shape.forms}` };
  const [, from, to, hash, hashFrom, hashTo, step] = parts;
  const allowed = `allowed: ${shape.min}-${shape.max}${field === "day of week" ? " (0 and 7 are Sunday)" : ""}`;
  for (const value of [from, to, hashFrom, hashTo]) {
    if (value !== undefined && !inRange(value, shape.min, shape.max))
      return { message: `${field} "${given}": ${value} is out of range`, hint: allowed };
  }
  const first = from ?? hashFrom;
  const last = to ?? hashTo;
  if (first !== undefined && last !== undefined && Number(first) > Number(last)) {
    const hint = hash === undefined ? `write ${first}-${shape.max},${shape.min}-${last}` : "put the smaller value first";
    return { message: `${field} "${given}": the range runs backwards`, hint };
  }
  const count = shape.max - shape.min + (field === "day of week" ? 0 : 1);
  if (step !== undefined && !inRange(step, 1, count)) {
    const unit = field === "second" || field === "minute" || field === "hour" ? field[0] : undefined;
    const every = unit === undefined || Number(step) === 0 ? "" : `; for a period that does not fit the field write @every ${step}${unit}`;
    return { message: `${field} "${given}": the step ${step} is out of range`, hint: `allowed: 1-${count}${every}` };
  }
  if (hash === undefined) return { values: text, hashed: false };
  const range = hashFrom === undefined ? shape.hash : `${hashFrom}-${hashTo}`;
  return { values: `H(${range})${step === undefined ? "" : `/${step}`}`, hashed: true };
}

function inRange(digits: string, min: number, max: number): boolean {
  return Number(digits) >= min && Number(digits) <= max;
}
