/** What the charts have in common: colours of the appearance, axes. */
import type uPlot from "uplot";
import { clockTime, day } from "../base/format.ts";

/** The value of a custom property of the page. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Time below in the browser's zone, values at the left as `show` writes them. */
export function axes(show: (value: number) => string): uPlot.Axis[] {
  const stroke = colour("--dim");
  const grid = { stroke: colour("--line"), width: 1 };
  const font = "12px system-ui";
  const times = (_: uPlot, splits: number[]) => {
    const isLong = (splits.at(-1) ?? 0) - (splits[0] ?? 0) > 86_400;
    return splits.map((s) => (isLong ? `${day(new Date(s * 1000)).slice(5)} ${clockTime(s * 1000)}` : clockTime(s * 1000)));
  };
  return [
    { stroke, grid, font, values: times, space: 90 },
    { stroke, grid, font, size: 70, values: (_, splits) => splits.map(show) },
  ];
}
