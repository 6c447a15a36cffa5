/** How long attempts took, by the time of their end; failures stand out by colour and by the shape of their points. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { span } from "../base/format.ts";
import { useApp } from "../data/context.ts";
import type { RecordSummary } from "../data/fleet.ts";
import { axes, colour } from "./chart.ts";
import { Empty } from "./small.tsx";

const HEIGHT_PX = 180;

export function DurationChart({ records }: { records: readonly RecordSummary[] }) {
  const { t, theme } = useApp();
  const element = useRef<HTMLDivElement>(null);
  const ran = records.filter(({ durationMs }) => durationMs !== undefined).sort((a, b) => (a.endTime < b.endTime ? -1 : 1));
  const failed = ran.filter(({ success }) => !success).length;
  const version = `${ran.length} ${ran.at(0)?.id} ${ran.at(-1)?.id} ${theme.value}`;
  useEffect(() => {
    const target = element.current;
    if (target === null || ran.length === 0) return;
    const times = ran.map(({ endTime }) => Date.parse(endTime) / 1000);
    const seconds = ran.map(({ durationMs }) => (durationMs ?? 0) / 1000);
    const ofSuccess = ran.map(({ success }, i) => (success ? (seconds[i] ?? null) : null));
    const ofFailure = ran.map(({ success }, i) => (success ? null : (seconds[i] ?? null)));
    const line = colour("--accent");
    const bad = colour("--bad");
    const plot = new uPlot(
      {
        width: target.clientWidth,
        height: HEIGHT_PX,
        legend: { show: false },
        cursor: { show: false },
        axes: axes((value) => span(value * 1000)),
        scales: { y: { range: (_, __, max) => [0, Math.max(max, 0.001) * 1.1] } },
        series: [
          {},
          { stroke: line, width: 1, spanGaps: true, points: { show: true, size: 5, fill: line } },
          { stroke: bad, width: 0, paths: () => null, points: { show: true, size: 10, width: 2, stroke: bad } },
        ],
      },
      [times, ofSuccess, ofFailure],
      target,
    );
    const fit = new ResizeObserver(() => plot.setSize({ width: target.clientWidth, height: HEIGHT_PX }));
    fit.observe(target);
    return () => {
      fit.disconnect();
      plot.destroy();
    };
  }, [version]);
  if (ran.length === 0) return <Empty word="job.noDurations" />;
  return <div ref={element} class="chart" role="img" aria-label={t("job.durationsText", { n: ran.length, failed })} />;
}
