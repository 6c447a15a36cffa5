/** What benchmarks print: figures with their spread, tables as Markdown, and the line that says when and where they were taken. */
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { systemClock, toIso } from "fleetcron-shared/base/clock";

/** Of an even number of values the mean of the middle two. Not a number when there is none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** `median (least–greatest)` of the rounds, or the one value; `—` when there is none. */
export function spread(values: readonly number[], show: (value: number) => string): string {
  if (values.length === 0) return "—";
  if (values.length === 1) return show(values[0] ?? Number.NaN);
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

/** Rows of equal length; a `|` in a cell does not end it. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  for (const row of rows)
    if (row.length !== head.length) throw new Error(`a row of ${row.length} cells under ${head.length} heads: ${row[0]}`);
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** When, on what, and how busy that was before the first figure. */
export function machineLine(): string {
  const [one = 0, five = 0] = loadavg();
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  return `${toIso(systemClock.now())}, Node.js ${process.version}, ${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB; load before: ${one.toFixed(1)} (1 min), ${five.toFixed(1)} (5 min)`;
}

export function ms(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : value >= 100 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Of bytes. */
export function mb(bytes: number): string {
  return `${count(bytes / 1e6)} MB`;
}
