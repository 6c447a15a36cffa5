/** The timer of a rule, from text: cron fields, a shorthand for them, `@every`, `@at` or `@startup`. Pure; says all that is wrong at once. */
import { type EpochMs, fromIso } from "../../base/clock.ts";
import { parseDuration } from "../../base/duration.ts";
import { AppError, type Issue } from "../../base/errors.ts";
import { suggestHint } from "../../base/suggest.ts";
import { type CronFields, parseCronFields } from "./cron-fields.ts";

export type Timer =
  | { readonly kind: "cron"; readonly fields: CronFields }
  | { readonly kind: "every"; readonly periodMs: number }
  | { readonly kind: "at"; readonly atMs: EpochMs }
  | { readonly kind: "startup" };

const SHORTHANDS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
const WORDS = [...Object.keys(SHORTHANDS), "@every", "@at", "@startup"];
const MAX_PERIOD_MS = 36_500 * 86_400_000;

/** Parses a timer; AppError `input/invalid` carries every issue. `hashSeed` decides what `H` means. */
export function parseTimer(text: string, hashSeed: string): Timer {
  const [word = "", ...rest] = text.trim().split(/\s+/);
  const timer = word.startsWith("@") ? parseWord(word.toLowerCase(), rest.join(" ")) : parseCron(text, hashSeed);
  if (!("issues" in timer)) return timer;
  throw timerError(text, timer.issues);
}

/** The error for a timer that is refused. */
export function timerError(text: string, issues: readonly Issue[]): AppError {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const hint = issues.length === 1 ? issues[0]?.hint : undefined;
  const message = `timer "${shown}": ${issues.map((issue) => issue.message).join("; ")}`;
  return new AppError("input/invalid", message, { issues, ...(hint === undefined ? {} : { hint }) });
}

type Refusal = { readonly issues: readonly Issue[] };

function refuse(message: string, hint: string): Refusal {
  return { issues: [{ message, hint }] };
}

function parseCron(text: string, hashSeed: string): Timer | Refusal {
  const trimmed = text.trim();
  if (parseDuration(trimmed) !== undefined && trimmed !== "0") return refuse(`"${trimmed}" is a duration`, `write @every ${trimmed}`);
  if (/^\d{4}-\d\d-\d\d/.test(trimmed))
    return refuse(`"${trimmed}" is a date`, "write @at followed by the date, time and offset, as in @at 2027-01-01T00:00:00+01:00");
  if (WORDS.includes(`@${trimmed.toLowerCase()}`)) return refuse(`"${trimmed}" needs an @ before it`, `write @${trimmed.toLowerCase()}`);
  const fields = parseCronFields(text, hashSeed);
  return "issues" in fields ? fields : { kind: "cron", fields };
}

function parseWord(word: string, rest: string): Timer | Refusal {
  const shorthand = SHORTHANDS[word];
  if (word === "@every") return parseEvery(rest);
  if (word === "@at") return parseAt(rest);
  if (word === "@reboot") return refuse("@reboot is not known", "write @startup: once when the agent starts after its host booted");
  if (shorthand === undefined && word !== "@startup") return refuse(`${word} is not known`, suggestHint(word, WORDS));
  if (rest !== "") return refuse(`${word} stands alone, but "${rest}" follows`, `write ${word} only`);
  return shorthand === undefined ? { kind: "startup" } : parseCron(shorthand, "");
}

function parseEvery(rest: string): Timer | Refusal {
  const periodMs = parseDuration(rest.replaceAll(" ", ""));
  const example = "write a duration such as @every 90s or @every 1h30m";
  if (periodMs === undefined) return refuse(rest === "" ? "@every needs a duration" : `@every: "${rest}" is not a duration`, example);
  if (periodMs < 1000) return refuse(`@every ${rest} is shorter than a second`, "the shortest period is 1s");
  if (periodMs > MAX_PERIOD_MS) return refuse(`@every ${rest} is longer than a century`, "the longest period is 36500d");
  return { kind: "every", periodMs };
}

function parseAt(rest: string): Timer | Refusal {
  const atMs = fromIso(rest);
  if (atMs !== undefined) return { kind: "at", atMs };
  const example = "write date, time and offset, as in @at 2027-01-01T00:00:00+01:00";
  if (rest === "") return refuse("@at needs a point in time", example);
  if (fromIso(`${rest}Z`) !== undefined)
    return refuse(`@at ${rest} has no offset from UTC`, `add one: ${rest}Z is UTC, ${rest}+02:00 is two hours ahead`);
  return refuse(`@at: "${rest}" is not a time in RFC 3339`, example);
}
