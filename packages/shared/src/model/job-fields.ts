/** The kinds of text that a job file is made of: durations, sizes, names, instants. Each says in its own words what it takes. */
import { z } from "zod";
import { fromIso } from "../base/clock.ts";
import { formatDuration, parseDuration } from "../base/duration.ts";
import { formatSize, parseSize } from "../base/size.ts";
import { expected, found } from "../base/zod-issues.ts";

/** The identity of a job is `group/id`, each of this form; rule ids too. */
export const ID_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const SECRET_PATTERN = /^([a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}$/;
export const ENV_NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;
const NODE_ID_PATTERN = /^[A-Za-z0-9._:@-]{1,128}$/;
const LABEL_NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,126}$/;
// The shape for editors; parseDuration and parseSize decide.
const DURATION_PATTERN = /^(0|(\d+(\.\d+)?(ms|s|m|h|d|w))+)$/;
const SIZE_PATTERN = /^(0|\d+(\.\d+)?([KMGT]i?B|B))$/;
// Control characters but tab and line feed: a name or description must not be able to steer the terminal it is shown on.
const CONTROL = /(?![\t\n])\p{Cc}/u;

const DURATION_HINT = "write a number with a unit: 250ms, 30s, 5m, 1h30m, 7d";
const SIZE_HINT = "write a number with a unit: 512B, 8KiB, 64MiB, 1GiB";

/** A duration from `minMs` to `maxMs`; the plain number 0 is taken as "0". */
export function durationField(minMs: number, maxMs: number) {
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  const inRange = (text: string) => {
    const ms = parseDuration(text);
    return ms === undefined || (ms >= minMs && ms <= maxMs);
  };
  const text = z
    .string({ error: expected("a duration", DURATION_HINT) })
    .regex(DURATION_PATTERN, { error: expected("a duration", DURATION_HINT), abort: true })
    .refine((value) => parseDuration(value) !== undefined, {
      error: expected("a duration with each unit once", DURATION_HINT),
      abort: true,
    })
    .refine(inRange, { error: expected(`a duration ${range}`) });
  return z.preprocess((value) => (value === 0 ? "0" : value), text);
}

/** A size from `min` to `max` bytes; the plain number 0 is taken as "0". */
export function sizeField(min: number, max: number) {
  const text = z
    .string({ error: expected("a size", SIZE_HINT) })
    .regex(SIZE_PATTERN, { error: expected("a size", SIZE_HINT), abort: true })
    .refine((value) => between(parseSize(value), min, max), { error: expected(`a size from ${formatSize(min)} to ${formatSize(max)}`) });
  return z.preprocess((value) => (value === 0 ? "0" : value), text);
}

/** Text for a process or a file: any characters but NUL, at most `max` UTF-16 units. */
export function rawText(noun: string, max: number, min = 1) {
  return z
    .string({ error: expected(noun) })
    .min(min, { error: `is empty; ${noun} is expected`, abort: true })
    .max(max, { error: ({ input }) => `has ${String(input).length} characters; at most ${max} are allowed`, abort: true })
    .refine((value) => !value.includes("\0"), { error: "contains a NUL character, which no process can be given", abort: true })
    .refine((value) => value.isWellFormed(), { error: "contains half of a surrogate pair, which is not text", abort: true });
}

/** Text for people on one line. */
export function line(noun: string, max: number) {
  return rawText(noun, max).refine((value) => !(CONTROL.test(value) || /[\t\n]/.test(value)), {
    error: "contains a line break or a control character; one line of text is expected",
  });
}

/** Text for people on any number of lines. */
export function paragraphs(noun: string, max: number) {
  return rawText(noun, max, 0).refine((value) => !CONTROL.test(value.replaceAll("\r\n", "\n")), {
    error: "contains a control character",
  });
}

/** Text of one form. */
export function pattern(noun: string, form: RegExp, hint?: string) {
  return z.string({ error: expected(noun, hint) }).regex(form, { error: expected(noun, hint) });
}

export const ruleId = pattern("a rule id", ID_PATTERN, "1 to 63 of a-z, 0-9, dot, underscore, dash; begins with a letter or digit");
export const nodeId = pattern(
  "a node id",
  NODE_ID_PATTERN,
  "node ids are exact, without wildcards; to choose several nodes use target.labels",
);
export const labelName = pattern("a label name", LABEL_NAME_PATTERN, "letters, digits and ._/- ; begins with a letter or digit");
export const userName = pattern(
  "a user or group name",
  /^([A-Za-z_][A-Za-z0-9._-]{0,31}\$?|\d{1,10})$/,
  "a name such as postgres, or a number in quotes",
);
export const octal = pattern("an octal mask in quotes", /^[0-7]{3,4}$/, 'such as "027"');
export const absolutePath = rawText("an absolute path", 4096).refine((value) => value.startsWith("/"), {
  error: expected("an absolute path", "it begins with /"),
});
export const regexText = rawText("a regular expression", 1000).refine(isRegex, {
  error: ({ input }) =>
    `${found(input)}; this is not a valid regular expression\nJavaScript syntax; brackets and backslashes are written as \\( and \\\\`,
});

/** Variables of the execution; the agent's own begin with FLEETCRON_. */
export const envName = pattern("a variable name", ENV_NAME_PATTERN, "letters, digits and underscore; does not begin with a digit").refine(
  (name) => !name.startsWith("FLEETCRON_"),
  { error: expected("a name that does not begin with FLEETCRON_", "those are set by the agent") },
);

const secretName = pattern("a secret's name", SECRET_PATTERN, "group/name, or name in the job's own group");

/** Where a secret comes from. A value written here by mistake is not repeated in the error. */
export const secretSource = z.strictObject(
  {
    file: absolutePath.describe("A file on the node's host, read by the agent; one line end at its end is left out.").exactOptional(),
    env: pattern("a variable name", ENV_NAME_PATTERN).describe("A variable of the agent's own environment.").exactOptional(),
    secret: secretName.describe("A secret stored with `fleetcron secret set`: group/name, or name in the job's own group.").exactOptional(),
  },
  {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? "file\nenv\nsecret"
        : "the source of a secret is expected, never its value\n{ file: /path }, { env: NAME } or { secret: group/name }",
  },
);

/** A value of a job's own label: what a selector can compare with. */
export const labelValue = line("a label value", 128).refine((value) => !/^[!*]/.test(value), {
  error: expected("a label value that does not begin with ! or *", "those have a meaning in target.labels"),
});

const selectorText = rawText("a label condition", 130, 0).refine(
  (value) => value === "!*" || value === "*" || /^(!=[^!*]|[^!*])/.test(`${value} `),
  {
    error: expected("a label condition", "value · !=value · [one, of, these] · * (has the label) · !* (has it not)"),
  },
);

/** One condition of `target.labels`. */
export const labelCondition = z.union([selectorText, z.array(labelValue).min(1)], {
  error: expected("a label condition", "value · !=value · [one, of, these] · * (has the label) · !* (has it not)"),
});

export const instant = z
  .string({ error: expected("an instant", "such as 2027-01-01T00:00:00+01:00") })
  .refine((value) => fromIso(value) !== undefined, {
    error: expected("an instant with date, time and offset", "such as 2027-01-01T00:00:00+01:00 or …Z"),
  });

/** A share between 0 and 1. */
export const share = z
  .number({ error: expected("a number from 0 to 1") })
  .min(0, { error: expected("a number from 0 to 1") })
  .max(1, { error: expected("a number from 0 to 1") });

function between(value: number | undefined, min: number, max: number): boolean {
  return value !== undefined && value >= min && value <= max;
}

function isRegex(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
