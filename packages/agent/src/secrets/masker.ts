/**
 * Takes the values of secrets out of what others may see: output, commands, results. Found are the value, its lines, and either of them in
 * base64, percent-encoded and JSON-escaped. Logs that are read in pieces have a masker of their own (logs/masker.ts) with the same needles.
 */
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { createMasker as createLogMasker, type Masker as LogMasker } from "../logs/masker.ts";
import { coveredRanges, endOfPartial } from "./needles.ts";

const MASK = "***";

export type Masker = {
  text(text: string): string;
  /** Every text in a value of plain JSON, but for field names. */
  deep<T>(value: T): T;
  /** A record's output, whose tail may begin in the middle of a value. */
  output<T extends ExecutionRecord["output"]>(output: T): T;
  /** For a log in pieces; undefined when there is nothing to hide. */
  readonly log: LogMasker | undefined;
};

/** Masks nothing: for attempts without secrets. */
export const PLAIN: Masker = { text: (text) => text, deep: (value) => value, output: (output) => output, log: undefined };

/** Shows nothing: for attempts whose secrets cannot be told any more. */
export const WITHHOLD: Masker = {
  ...maskingBy((text) => (text === "" ? "" : MASK)),
  log: { longest: 1, mask: (bytes) => Buffer.alloc(bytes.length, "*"), open: () => 0 },
};

/** `needles`: what must not be seen (needles.ts). */
export function createMasker(needles: readonly Buffer[]): Masker {
  if (needles.length === 0) return PLAIN;
  return { ...maskingBy((text, cutBefore) => maskText(needles, text, cutBefore)), log: createLogMasker(needles) };
}

function maskingBy(mask: (text: string, cutBefore: boolean) => string): Omit<Masker, "log"> {
  return {
    text: (text) => mask(text, false),
    deep: <T>(value: T) => mapTexts(value, (text) => mask(text, false)) as T,
    output(output) {
      if (output === undefined) return output;
      // A character that was cut in two comes as U+FFFD, and would hide that the value goes on behind it.
      const [broken = ""] = /^\uFFFD*/.exec(output.tail) ?? [];
      return { ...output, tail: broken + mask(output.tail.slice(broken.length), output.cutBytes > 0) };
    },
  };
}

function maskText(needles: readonly Buffer[], text: string, cutBefore: boolean): string {
  const bytes = Buffer.from(text);
  const ranges = coveredRanges(needles, bytes, cutBefore ? endOfPartial(needles, bytes) : 0);
  if (ranges.length === 0) return text;
  const between = ranges.map(({ start }, index) => bytes.toString("utf8", ranges[index - 1]?.end ?? 0, start));
  return `${between.join(MASK)}${between.length > 0 ? MASK : ""}${bytes.toString("utf8", ranges.at(-1)?.end)}`;
}

function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === "string") return map(value);
  if (Array.isArray(value)) return value.map((one) => mapTexts(one, map));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, mapTexts(one, map)]));
}
