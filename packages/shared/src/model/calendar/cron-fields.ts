/**
 * A cron expression's fields, as lists of values and day rules. cron-parser expands the values; counting fields, messages and the
 * rules with L, W and # are ours (it takes '' and 4 fields, has no W, no `#` in lists, and refuses lists that overlap).
 */
import { CronExpressionParser } from "cron-parser";
import type { Issue } from "../../base/errors.ts";
import { type DayRule, type FieldName, parseItem } from "./cron-item.ts";

/** Sorted values of each field; weekdays 0 (Sunday) … 6. */
export type CronFields = {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  readonly months: readonly number[];
  readonly weekdays: readonly number[];
  readonly dayRules: readonly DayRule[];
  readonly weekdayRules: readonly DayRule[];
  /** Vixie's rule: a day must satisfy both day fields when one of them begins with `*`, otherwise either. */
  readonly bothDays: boolean;
  /** The fields as texts with names, `?` and `H` resolved: second, minute, hour, day of month, month, day of week. */
  readonly texts: readonly string[];
};

type Column = {
  readonly items: readonly string[];
  readonly rules: readonly DayRule[];
  readonly texts: readonly string[];
  readonly hashed: boolean;
};

const NAMES: readonly FieldName[] = ["second", "minute", "hour", "day of month", "month", "day of week"];
const LIBRARY_KEYS = ["second", "minute", "hour", "dayOfMonth", "month", "dayOfWeek"] as const;
const EXPECTED = "expected 5 fields (minute, hour, day of month, month, day of week) or 6 (second first)";
const MAX_LENGTH = 1000;

/** The fields of a cron expression, or what is wrong with it. Values of `H` follow from `hashSeed` and the field alone. */
export function parseCronFields(expression: string, hashSeed: string): CronFields | { readonly issues: readonly Issue[] } {
  const words = expression.toUpperCase().replaceAll("?", "*").split(/\s+/).filter(Boolean);
  const wrong = checkCount(expression, words.length);
  if (wrong !== undefined) return { issues: [wrong] };
  const issues: Issue[] = [];
  const columns = (words.length === 5 ? ["0", ...words] : words).map((word, index) => parseColumn(NAMES[index] ?? "second", word, issues));
  if (issues.length > 0) return { issues };
  const lists = expand(columns, hashSeed);
  const at = (index: number): readonly number[] => lists[index] ?? [];
  const [days, weekdays] = [columns[3], columns[5]];
  return {
    seconds: at(0),
    minutes: at(1),
    hours: at(2),
    days: at(3),
    months: at(4),
    weekdays: at(5),
    dayRules: days?.rules ?? [],
    weekdayRules: weekdays?.rules ?? [],
    bothDays: [days, weekdays].some((column) => column?.texts[0]?.startsWith("*")),
    texts: columns.map((column, index) =>
      (column.hashed ? [...at(index), ...column.texts.filter((text) => !text.startsWith("H"))] : column.texts).join(","),
    ),
  };
}

function checkCount(expression: string, count: number): Issue | undefined {
  if (expression.length > MAX_LENGTH)
    return { message: `the expression has ${expression.length} characters; at most ${MAX_LENGTH} are accepted` };
  if (count === 5 || count === 6) return undefined;
  if (count === 0) return { message: `the timer is empty; ${EXPECTED}`, hint: "once a minute is * * * * *" };
  const message = `${count} field${count === 1 ? "" : "s"}; ${EXPECTED}`;
  return count === 7
    ? { message, hint: "a year field is not supported; limit the rule with from and until, or use @at for one date" }
    : { message };
}

function parseColumn(name: FieldName, word: string, issues: Issue[]): Column {
  const items: string[] = [];
  const rules: DayRule[] = [];
  const texts: string[] = [];
  let hashed = false;
  for (const text of word.split(",")) {
    const item =
      text === ""
        ? { message: `${name} "${word}" has an empty list item`, hint: "write values separated by single commas" }
        : parseItem(name, text);
    if ("message" in item) issues.push(item);
    else if ("rule" in item) rules.push(item.rule);
    else items.push(item.values);
    if ("values" in item) hashed ||= item.hashed;
    if (!("message" in item)) texts.push("values" in item ? item.values : item.text);
  }
  return { items, rules, texts, hashed };
}

/** Each list item goes to cron-parser in a row of its own, months after the days: it refuses `1-5,3`, and `30` beside a lone month `2`. */
function expand(columns: readonly Column[], hashSeed: string): number[][] {
  const queues = columns.map((column) => column.items);
  const [days = [], months = []] = [queues[3], queues[4]];
  const shift = months[0] === "*" ? 0 : days.length;
  const rows = Math.max(...queues.map((queue, index) => queue.length + (index === 4 ? shift : 0)));
  const found = columns.map(() => new Set<number>());
  for (let row = 0; row < rows; row++) {
    const cells = queues.map((queue, index) => queue[row - (index === 4 ? shift : 0)]);
    const { fields } = CronExpressionParser.parse(cells.map((cell) => cell ?? "*").join(" "), { hashSeed });
    for (const [index, key] of LIBRARY_KEYS.entries()) {
      if (cells[index] === undefined) continue;
      for (const value of fields[key].values) found[index]?.add(key === "dayOfWeek" ? Number(value) % 7 : Number(value));
    }
  }
  return found.map((values) => [...values].sort((a, b) => a - b));
}
