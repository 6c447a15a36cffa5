/** How much is to start in the coming hours, and when it piles up. */
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dateTime } from "../base/format.ts";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { Forecast as Load } from "../data/types.ts";
import { axes, colour } from "../parts/chart.ts";
import { Card, Empty, Facts, Failure, JobLink, Loading } from "../parts/small.tsx";

const HOURS = [6, 24, 48] as const;
const HEIGHT_PX = 260;
/** It is asked for anew after so long. */
const AGAIN_MS = 300_000;

export function Forecast() {
  const { t, api, now } = useApp();
  const [hours, setHours] = useState<number>(24);
  const { value, error, again } = useFetched(() => api.forecast({ hours }), [hours], [Math.floor(now.value / AGAIN_MS)]);
  const total = value?.starts.reduce((sum, n) => sum + n, 0) ?? 0;
  return (
    <>
      <h1>{t("nav.forecast")}</h1>
      <p class="tabs" role="group" aria-label={t("forecast.hours")}>
        {HOURS.map((n) => (
          <button key={n} type="button" aria-pressed={n === hours} onClick={() => setHours(n)}>
            {t("forecast.ofHours", { n })}
          </button>
        ))}
      </p>
      <Failure error={error} again={again} />
      {value === undefined && error === undefined && <Loading />}
      {value !== undefined && (
        <>
          <Card title={t("forecast.starts")}>
            {total === 0 ? (
              <Empty word="forecast.none" />
            ) : (
              <LoadChart load={value} series="starts" label={t("forecast.startsText", { n: Math.round(total) })} />
            )}
            <Facts
              rows={[
                [t("forecast.total"), Math.round(total)],
                [t("forecast.jobs"), value.jobs],
                [t("forecast.mean"), (total / value.starts.length).toFixed(1)],
              ]}
            />
          </Card>
          <Card title={t("forecast.running")}>
            {total > 0 && (
              <LoadChart
                load={value}
                series="running"
                label={t("forecast.runningText", { most: Math.max(0, ...value.running).toFixed(1), capacity: value.capacity })}
              />
            )}
            <Facts
              rows={[
                [t("forecast.most"), Math.max(0, ...value.running).toFixed(1)],
                [t("forecast.capacity"), value.capacity],
              ]}
            />
          </Card>
          <Card title={t("forecast.peaks")}>
            {value.peaks.length === 0 ? (
              <Empty word="forecast.noPeaks" />
            ) : (
              <ol class="list">
                {value.peaks.map((peak) => (
                  <li key={peak.at}>
                    <strong>{dateTime(peak.at).slice(0, 16)}</strong> {t("forecast.peakStarts", { n: peak.starts })}{" "}
                    {peak.jobs.slice(0, 6).map(({ job, starts }) => {
                      const [group = "", id = ""] = job.split("/");
                      return (
                        <span key={job} class="label">
                          <JobLink group={group} id={id} /> {starts > 1 && `×${starts}`}
                        </span>
                      );
                    })}
                  </li>
                ))}
              </ol>
            )}
            <p class="dim">{t("forecast.hint")}</p>
          </Card>
        </>
      )}
    </>
  );
}

function LoadChart({ load, series, label }: { load: Load; series: "starts" | "running"; label: string }) {
  const { theme } = useApp();
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const target = element.current;
    if (target === null) return;
    const fromS = Date.parse(load.from) / 1000;
    const times = load.starts.map((_, minute) => fromS + minute * 60);
    const peaks = new Set(series === "starts" ? load.peaks.map(({ at }) => Date.parse(at) / 1000) : []);
    const marks = times.map((at, i) => (peaks.has(at) ? (load.starts[i] ?? null) : null));
    const line = colour("--accent");
    const plot = new uPlot(
      {
        width: target.clientWidth,
        height: HEIGHT_PX,
        legend: { show: false },
        cursor: { show: false },
        axes: axes((value) => String(value)),
        scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
        series: [
          {},
          { stroke: line, width: 1, fill: `${line}33`, points: { show: false } },
          { stroke: colour("--bad"), width: 0, paths: () => null, points: { show: true, size: 9, width: 2, stroke: colour("--bad") } },
        ],
      },
      [times, load[series], marks],
      target,
    );
    const fit = new ResizeObserver(() => plot.setSize({ width: target.clientWidth, height: HEIGHT_PX }));
    fit.observe(target);
    return () => {
      fit.disconnect();
      plot.destroy();
    };
  }, [load, series, theme.value]);
  return <div ref={element} class="chart" role="img" aria-label={label} />;
}
