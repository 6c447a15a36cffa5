/** What became of a job: how long its attempts took, and every record. */

import { summaryOf } from "fleetcron-shared/model/record-summary";
import { useEffect, useMemo, useState } from "preact/hooks";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { placeOf, type RecordSummary } from "../data/fleet.ts";
import { useTouches } from "../data/touches.ts";
import type { Job } from "../data/types.ts";
import { DurationChart } from "./duration-chart.tsx";
import { type Column, Rows } from "./rows.tsx";
import { Ago, Card, Empty, Failure, Loading, Outcome, Span, Time } from "./small.tsx";

const RECORDS = 200;

export function JobHistory({ job }: { job: Job }) {
  const { t, api } = useApp();
  const key = `${job.group}/${job.id}`;
  const [onlyFailed, setOnlyFailed] = useState(false);
  const [older, setOlder] = useState<{ readonly items: readonly RecordSummary[]; readonly next: string | undefined } | undefined>(
    undefined,
  );
  useEffect(() => setOlder(undefined), [key, onlyFailed]);
  const touches = useTouches(
    ({ type, data }) => type === "record" && (data.value as RecordSummary | undefined)?.job === job.id && data.group === job.group,
    [key],
  );
  const query = { job: key, limit: RECORDS, ...(onlyFailed ? { outcome: "failure" } : {}) };
  const { value, error, again } = useFetched(() => api.records(query), [key, onlyFailed], [touches]);
  const items = useMemo(() => {
    const newest = (value?.items ?? []).map(summaryOf);
    const known = new Set(newest.map(({ id }) => id));
    return [...newest, ...(older?.items ?? []).filter(({ id }) => !known.has(id))];
  }, [value, older]);
  const next = older === undefined ? value?.next : older.next;
  const more = async () => {
    if (next === undefined) return;
    const page = await api.records({ ...query, cursor: next });
    setOlder({ items: [...(older?.items ?? value?.items.map(summaryOf) ?? []), ...page.items.map(summaryOf)], next: page.next });
  };
  const columns: readonly Column<RecordSummary>[] = [
    {
      title: t("record.ended"),
      cell: (record) => (
        <a href={href(["executions", record.execution], { job: key, attempt: String(record.attempt) })}>
          <Time at={record.endTime} />
        </a>
      ),
    },
    { title: t("record.outcome"), cell: (record) => <Outcome outcome={record.outcome} success={record.success} /> },
    { title: t("record.node"), cell: placeOf },
    { title: t("record.due"), class: "large", cell: (record) => <Time at={record.dueAt} /> },
    { title: t("record.took"), cell: (record) => <Span ms={record.durationMs} /> },
    { title: t("record.attempt"), class: "large", cell: (record) => record.attempt },
    { title: "", class: "large", cell: (record) => <Ago at={record.endTime} /> },
  ];
  return (
    <>
      <Card title={t("job.durations")}>
        <DurationChart records={items.filter(({ partOf }) => partOf === undefined)} />
      </Card>
      <Card
        title={t("job.records")}
        more={
          <label>
            <input type="checkbox" checked={onlyFailed} onChange={(event) => setOnlyFailed(event.currentTarget.checked)} />{" "}
            {t("job.onlyFailed")}
          </label>
        }
      >
        <Failure error={error} again={again} />
        {value === undefined ? (
          <Loading />
        ) : items.length === 0 ? (
          <Empty word="job.noRecords" />
        ) : (
          <Rows label={t("job.records")} items={items} columns={columns} keyOf={({ id }) => id} />
        )}
        {next !== undefined && (
          <button type="button" onClick={() => void more()}>
            {t("do.more")}
          </button>
        )}
      </Card>
    </>
  );
}
