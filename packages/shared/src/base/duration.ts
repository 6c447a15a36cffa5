/** Durations: strings like `90s`, `1h30m`, `7d`, `250ms` in files and REST; milliseconds inside. */

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** The duration in milliseconds, or undefined when `text` is none. `0` needs no unit; units come once each, in any order. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) return undefined;
  const seen = new Set<string>();
  let total = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d|w)/g)) {
    if (unit === undefined || seen.has(unit)) return undefined;
    seen.add(unit);
    total += Number(amount) * (UNIT_MS[unit] ?? Number.NaN);
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}

/** The shortest text for a whole number of milliseconds: `1h30m`, `250ms`, `0`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0";
  let rest = Math.round(Math.abs(ms));
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"] as const) {
    const size = UNIT_MS[unit] ?? 1;
    if (rest >= size) {
      text += `${Math.floor(rest / size)}${unit}`;
      rest %= size;
    }
  }
  return ms < 0 ? `-${text}` : text;
}
