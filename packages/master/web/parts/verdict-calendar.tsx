/** Each due tick of a job and what became of it, a row per day. A tick leads to the answer why. */
import { clockTime, dateTime, day } from "../base/format.ts";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { RecordSummary } from "../data/fleet.ts";
import { useTouches } from "../data/touches.ts";
import type { Job, Verdicts } from "../data/types.ts";
import type { Word } from "../i18n/i18n.ts";
import { Card, Empty, Failure, Loading } from "./small.tsx";

const TICKS = 400;
const SIGN: Readonly<Record<string, string>> = {
  success: "✓",
  failure: "✗",
  skipped: "·",
  missed: "!",
  lost: "?",
  running: "▶",
  pending: "…",
  none: "",
};
const KINDS = ["success", "failure", "skipped", "missed", "lost", "running", "pending", "none"] as const;

function wordOf(verdict: (typeof KINDS)[number]): Word {
  return verdict === "none" ? "verdicts.untold" : `verdicts.${verdict}`;
}

export function VerdictCalendar({ job, touches }: { job: Job; touches: number }) {
  const { t, api } = useApp();
  const key = `${job.group}/${job.id}`;
  const records = useTouches(
    ({ type, data }) => type === "record" && data.group === job.group && (data.value as RecordSummary | undefined)?.job === job.id,
    [key],
  );
  const { value, error } = useFetched(() => api.verdicts(job, { limit: TICKS }), [key], [touches, records, job.revision]);
  const days = new Map<string, Verdicts["ticks"][number][]>();
  for (const tick of value?.ticks ?? []) {
    const name = day(new Date(tick.dueAt));
    days.set(name, [tick, ...(days.get(name) ?? [])]);
  }
  return (
    <Card title={t("verdicts.title")} id="verdicts">
      <Failure error={error} />
      {value === undefined && error === undefined && <Loading />}
      {value !== undefined && value.ticks.length === 0 && <Empty word="verdicts.none" />}
      {days.size > 0 && (
        <>
          <p class="legend">
            {KINDS.map((kind) => (
              <span key={kind}>
                <span class={`tick ${kind}`} aria-hidden="true">
                  {SIGN[kind]}
                </span>{" "}
                {t(wordOf(kind))}
              </span>
            ))}
          </p>
          <dl class="calendar">
            {[...days].map(([name, ticks]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  {ticks.map(({ dueAt, rule, verdict, counts }) => {
                    const what = `${dateTime(dueAt)} ${rule}: ${t(wordOf(verdict))}`;
                    const failed =
                      counts.failure > 0 && counts.success > 0 ? ` (${counts.failure}/${counts.failure + counts.success})` : "";
                    return (
                      <a
                        key={`${rule} ${dueAt}`}
                        class={`tick ${verdict}`}
                        href={href(["jobs", job.group, job.id], { at: dueAt })}
                        title={what + failed}
                        aria-label={what + failed}
                      >
                        <span aria-hidden="true">{ticks.length <= 24 ? clockTime(Date.parse(dueAt)) : ""}</span>
                        {SIGN[verdict]}
                      </a>
                    );
                  })}
                </dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </Card>
  );
}
