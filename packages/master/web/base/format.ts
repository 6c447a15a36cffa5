/** Times and amounts as people read them. Pure. */

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms: number): string {
  const s = Math.abs(ms) / 1000;
  if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
  if (s < 9.95 && !Number.isInteger(s)) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 3600) return two(s, 60, "min", 1, "s");
  return s < 86_400 ? two(s, 3600, "h", 60, "min") : two(s, 86_400, "d", 3600, "h");
}

function two(s: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const whole = Math.round(s / small);
  const big = Math.floor(whole / (large / small));
  const rest = whole % (large / small);
  return rest === 0 ? `${big} ${largeUnit}` : `${big} ${largeUnit} ${rest} ${smallUnit}`;
}

/** `512 B`, `1.5 MB` (1 MB = 1000 kB). */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

/** `2026-11-21 08:30:00`, in the browser's time zone. */
export function dateTime(iso: string): string {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : `${day(at)} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** `08:30:00` of today, otherwise with its day. */
export function shortTime(iso: string, nowMs: number): string {
  const text = dateTime(iso);
  return text.startsWith(day(new Date(nowMs))) ? text.slice(11) : text.slice(5);
}

export function day(at: Date): string {
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

/** `8:05`. */
export function clockTime(ms: number): string {
  const at = new Date(ms);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}`;
}
