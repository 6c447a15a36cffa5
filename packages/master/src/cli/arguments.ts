/** What stands on the command line, as values: names of jobs, `name=value` pairs, numbers, durations. Wrong ones are `input/usage`. */
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import { parseDuration } from "fleetcron-shared/base/duration";
import { AppError } from "fleetcron-shared/base/errors";
import type { JobRef } from "../job-ref.ts";

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const DEFAULT_GROUP = "default";

/** `group/id`, or `id` in the group `default`. */
export function parseJobRef(text: string): JobRef {
  return parseRef(text, "job");
}

/** The same for a pipeline. */
export function parsePipelineRef(text: string): JobRef {
  return parseRef(text, "pipeline");
}

function parseRef(text: string, noun: string): JobRef {
  const parts = text.split("/");
  const [group, id] = parts.length === 1 ? [DEFAULT_GROUP, parts[0]] : parts;
  if (parts.length > 2 || group === undefined || id === undefined || !NAME.test(group) || !NAME.test(id)) {
    throw new AppError("input/usage", `"${text}" is not the name of a ${noun}`, {
      hint: "write it as GROUP/ID; each is 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
    });
  }
  return { group, id };
}

/** The id of a node, an execution or a record: never with a slash. */
export function parseId(text: string, what: string): string {
  if (/^[A-Za-z0-9._:@-]{1,253}$/.test(text)) return text;
  throw new AppError("input/usage", `"${text}" is not the id of ${what}`, { hint: "an id holds letters, digits and ._:@- only" });
}

/** `["a=1", "b="]` as `{a: "1", b: ""}`; the value may hold more `=`. */
export function parsePairs(texts: readonly string[], option: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at <= 0) throw new AppError("input/usage", `${option} "${text}" is not of the form NAME=VALUE`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** A duration above 0 in milliseconds, such as `90s` or `1h30m`. */
export function parseSpan(text: string, option: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new AppError("input/usage", `${option} "${text}" is not a duration`, { hint: "write it like 30s, 5m or 1h30m" });
}

/** A whole number in a range. */
export function parseCount(text: string, option: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new AppError("input/usage", `${option} "${text}" is not a whole number from ${min} to ${max}`);
}

/** An instant as RFC 3339 in UTC: given so, or as a duration before now (`10m` is ten minutes ago). */
export function parseInstant(text: string, what: string, nowMs: number): string {
  const ago = parseDuration(text);
  const ms = ago === undefined ? fromIso(text.replace(/^(\d{4}-\d\d-\d\d) (?=\d)/, "$1T")) : nowMs - ago;
  if (ms !== undefined) return toIso(ms);
  throw new AppError("input/usage", `${what} "${text}" is not a time`, {
    hint: "write it with its offset, like 2027-01-31T08:00:00Z or 2027-01-31T09:00:00+01:00, or as a time ago, like 10m",
  });
}
