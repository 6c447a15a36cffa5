/** Times and durations as people read them in tables; JSON and YAML keep the exact values. */
import { fromIso } from "fleetcron-shared/base/clock";

/** At most two units, rounded: `0s`, `45ms`, `2.5s`, `59s`, `3m`, `3m20s`, `2d5h`. */
export function humanDuration(ms: number): string {
  if (ms < 0) return `-${humanDuration(-ms)}`;
  if (ms === 0) return "0s";
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  if (ms < 9950) return `${Number((ms / 1000).toFixed(1))}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return twoUnits(seconds, 60, "m", "s");
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1440) return twoUnits(minutes, 60, "h", "m");
  return twoUnits(Math.round(ms / 3_600_000), 24, "d", "h");
}

function twoUnits(count: number, per: number, unit: string, smaller: string): string {
  const rest = count % per;
  return `${Math.floor(count / per)}${unit}${rest === 0 ? "" : `${rest}${smaller}`}`;
}

/** `in 3m`, `2s ago`, `now`; a dash for nothing, the text itself when it is no time. */
export function humanTime(iso: string | null | undefined, nowMs: number): string {
  if (iso === null || iso === undefined) return "-";
  const at = fromIso(iso);
  if (at === undefined) return iso;
  const away = at - nowMs;
  if (Math.abs(away) < 500) return "now";
  const text = coarse(Math.abs(away));
  return away > 0 ? `in ${text}` : `${text} ago`;
}

/** Whole seconds, and one unit alone from ten of it on: how far away something is needs no more. */
function coarse(ms: number): string {
  for (const [unit, size, end] of [
    ["d", 86_400_000, Number.POSITIVE_INFINITY],
    ["h", 3_600_000, 86_400_000],
    ["m", 60_000, 3_600_000],
  ] as const) {
    if (ms >= 10 * size && ms < end - size / 2) return `${Math.round(ms / size)}${unit}`;
  }
  return humanDuration(Math.max(1000, Math.round(ms / 1000) * 1000));
}

/** `2.0 KiB` */
export function humanBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024 || unit === "GiB") return unit === "B" ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${bytes} B`;
}

const CONTROLS = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const COLOUR = new RegExp(`(${String.fromCharCode(27)}\\[[0-9;]*m)`);

/** Names and messages come from other people: control characters are shown, not obeyed by the terminal. One line. */
export function plain(text: string): string {
  return text.replace(CONTROLS, escapeOf);
}

/** The same for text that we have coloured. */
export function plainColoured(text: string): string {
  return exceptColours(text, plain);
}

/** Output of commands: line breaks, tabs and colours stay, other control characters are shown. */
export function plainOutput(text: string): string {
  return exceptColours(text, (piece) => piece.replace(CONTROLS, (char) => (char === "\n" || char === "\t" ? char : escapeOf(char))));
}

function exceptColours(text: string, change: (piece: string) => string): string {
  return text
    .split(COLOUR)
    .map((piece, index) => (index % 2 === 1 ? piece : change(piece)))
    .join("");
}

function escapeOf(char: string): string {
  if (char === "\n") return "\\n";
  if (char === "\t") return "\\t";
  const code = char.charCodeAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
}
