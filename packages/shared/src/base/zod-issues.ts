/**
 * Messages for people from zod schemas: what was found, what is allowed. Schemas made with the helpers below carry their own words
 * (a message and, behind a line break, a hint); `shapeIssues` turns what a check found into paths and words, so no text of zod's gets out.
 */
import { z } from "zod";
import type { Issue } from "./errors.ts";
import { suggest } from "./suggest.ts";
import { formatPath, type PathPart } from "./yaml-source.ts";

/** One wrong value: where and why. */
export type ShapeIssue = { readonly path: readonly PathPart[]; readonly message: string; readonly hint?: string };

type RawIssue = { readonly code?: string | undefined; readonly input?: unknown };

/** `found the number 90`, `is missing` …: a value as one would name it in a sentence. */
export function found(value: unknown): string {
  if (value === undefined) return "is missing";
  if (value === null) return "has no value";
  if (typeof value === "string") return `found ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`;
  if (typeof value === "number") return `found the number ${value}`;
  if (typeof value === "boolean") return `found ${value}`;
  return Array.isArray(value) ? "found a list" : "found a mapping";
}

/** The `error` of a schema: says what was found and what is expected, with an example or advice as the hint. */
export function expected(noun: string, hint?: string): (issue: RawIssue) => string {
  return ({ input }) => {
    const quote = typeof input === "number" || typeof input === "boolean" ? `put it in quotes: "${input}"` : undefined;
    const advice = noun.startsWith("a duration") || noun.startsWith("a size") ? hint : (quote ?? hint);
    return `${found(input)}; ${noun} is expected${advice === undefined ? "" : `\n${advice}`}`;
  };
}

/** One of some words, with "did you mean". */
export function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, {
    error: ({ input }) => {
      const near = typeof input === "string" ? suggest(input, values) : undefined;
      return `${found(input)}; allowed: ${values.join(", ")}${near === undefined ? "" : `\ndid you mean "${near}"?`}`;
    },
  });
}

/** A whole number between two bounds. */
export function wholeNumber(min: number, max: number) {
  const error = ({ input }: RawIssue) =>
    `${found(input)}; a whole number from ${min} to ${max} is expected${typeof input === "string" && /^-?\d+$/.test(input) ? "\nwrite it without quotes" : ""}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A mapping with known fields only. */
export function fields<T extends z.core.$ZodShape>(shape: T) {
  const names = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? names.join("\n")
        : `${found(issue.input)}; a mapping with fields is expected\nits fields: ${names.join(", ")}`,
  });
}

/** A list whose elements match `element`. */
export function list<T extends z.ZodType>(element: T, noun: string, bounds: { min?: number; max?: number } = {}) {
  const { min = 0, max = 1000 } = bounds;
  return z
    .array(element, {
      error: ({ input }) => `${found(input)}; a list of ${noun} is expected\nsuch as [a, b], or lines that begin with "- "`,
    })
    .min(min, { error: `the list is empty; at least ${min} of ${noun} is needed` })
    .max(max, {
      error: ({ input }) => `the list has ${Array.isArray(input) ? input.length : "too many"} entries; at most ${max} are allowed`,
    });
}

/** A mapping from names to values. */
export function mapping<K extends z.core.$ZodRecordKey, V extends z.ZodType>(key: K, value: V, noun: string) {
  return z.record(key, value, {
    error: (issue) =>
      issue.code === "invalid_key" ? "" : `${found(issue.input)}; a mapping of ${noun} is expected\nsuch as { name: value }`,
  });
}

/** true or false. */
export function flag() {
  return z.boolean({ error: ({ input }) => `${found(input)}; true or false is expected` });
}

/** The value as the schema gives it, or everything that is wrong with it. */
export function checkShape<T>(schema: z.ZodType<T>, value: unknown): { value: T; issues?: undefined } | { issues: readonly ShapeIssue[] } {
  const result = schema.safeParse(value, { reportInput: true, error: plainWords });
  return result.success ? { value: result.data } : { issues: result.error.issues.flatMap(toShapeIssues) };
}

/** `prefix` is put before the path: where the checked value stands in the whole. */
export function toIssue(shape: ShapeIssue, prefix: readonly PathPart[], at: { file?: string; line?: number } = {}): Issue {
  return {
    ...at,
    path: formatPath([...prefix, ...shape.path]),
    message: shape.message,
    ...(shape.hint === undefined ? {} : { hint: shape.hint }),
  };
}

const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

/** For schemas that bring no words of their own. */
function plainWords(issue: z.core.$ZodRawIssue): string {
  const what = found(issue.input);
  switch (issue.code) {
    case "invalid_type":
      return `${what}; ${KINDS[issue.expected] ?? "another kind of value"} is expected`;
    case "invalid_value":
      return `${what}; allowed: ${issue.values.join(", ")}`;
    case "too_small":
      return `${what}; at least ${issue.minimum} is needed`;
    case "too_big":
      return `${what}; at most ${issue.maximum} is allowed`;
    case "invalid_format":
      return `${what}; this is not of the expected form`;
    default:
      return `${what}; this is not allowed here`;
  }
}

function toShapeIssues(issue: z.core.$ZodIssue): ShapeIssue[] {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys") {
    const allowed = issue.message.split("\n");
    return issue.keys.map((key) => {
      const near = suggest(key, allowed);
      return {
        path: [...path, key],
        message: "there is no such field",
        hint: near === undefined ? `allowed: ${allowed.join(", ")}` : `did you mean "${near}"?`,
      };
    });
  }
  const words = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? "this name is not allowed") : issue.message;
  const [message = "", hint] = words.split("\n");
  return [hint === undefined ? { path, message } : { path, message, hint }];
}
