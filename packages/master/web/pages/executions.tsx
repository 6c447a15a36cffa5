/** What runs now, and the newest that has ended, live. */
import { useMemo } from "preact/hooks";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { matchesWords } from "../data/filter.ts";
import { placeOf } from "../data/fleet.ts";
import { useList } from "../data/list.ts";
import { type Column, Rows } from "../parts/rows.tsx";
import { Ago, Badge, Empty, Failure, Loading, Outcome, Span } from "../parts/small.tsx";

type Row = {
  readonly id: string;
  readonly group: string;
  readonly job: string;
  readonly node: string;
  readonly attempt: number;
  readonly isRunning: boolean;
  readonly outcome?: string;
  readonly success?: boolean;
  readonly startedAt?: string | undefined;
  readonly endedAt?: string;
  readonly durationMs?: number | undefined;
};

export function Executions() {
  const { t, fleet, router, now } = useApp();
  const running = useList(fleet.running);
  const records = useList(fleet.records);
  const { query } = router.route.value;
  const text = query.get("q") ?? "";
  const onlyFailed = query.get("failed") !== null;
  const rows = useMemo(() => {
    const live: Row[] = running.items.map(({ id, group, job, node, attempt, startedAt }) => ({
      id,
      group,
      job,
      node,
      attempt,
      startedAt,
      isRunning: true,
    }));
    live.sort((a, b) => ((a.startedAt ?? "") < (b.startedAt ?? "") ? 1 : -1));
    const ended = records.items
      .map(({ execution, group, job, node, host, attempt, beginTime, endTime, outcome, success, durationMs }): Row => {
        return {
          id: execution,
          group,
          job,
          node: placeOf({ node, ...(host === undefined ? {} : { host }) }),
          attempt,
          isRunning: false,
          outcome,
          success,
          startedAt: beginTime,
          endedAt: endTime,
          durationMs,
        };
      })
      .sort((a, b) => ((a.endedAt ?? "") < (b.endedAt ?? "") ? 1 : -1));
    return [...live, ...ended].filter(
      (row) =>
        (!onlyFailed || (row.success === false && !row.outcome?.startsWith("skipped"))) &&
        matchesWords(`${row.group}/${row.job} ${row.node} ${row.outcome ?? "running"}`.toLowerCase(), text),
    );
  }, [running.items, records.items, text, onlyFailed]);
  const again = () => {
    fleet.records.renew();
    fleet.running.renew();
  };
  const columns: readonly Column<Row>[] = [
    {
      title: t("job.key"),
      class: "wide",
      cell: (row) => (
        <a
          href={href(["executions", row.id], {
            job: `${row.group}/${row.job}`,
            ...(row.isRunning ? {} : { attempt: String(row.attempt) }),
          })}
        >
          {row.group}/{row.job}
        </a>
      ),
    },
    {
      title: t("record.outcome"),
      cell: (row) =>
        row.isRunning ? <Badge tone="busy">{t("job.running")}</Badge> : <Outcome outcome={row.outcome} success={row.success} />,
    },
    { title: t("record.node"), cell: (row) => row.node },
    {
      title: t("record.took"),
      cell: (row) => (
        <Span ms={row.isRunning && row.startedAt !== undefined ? Math.max(0, now.value - Date.parse(row.startedAt)) : row.durationMs} />
      ),
    },
    { title: t("record.attempt"), class: "large", cell: (row) => row.attempt },
    { title: t("record.ended"), cell: (row) => (row.isRunning ? <span class="dim">–</span> : <Ago at={row.endedAt} />) },
  ];
  return (
    <>
      <h1>
        {t("nav.executions")} <span class="count">{t("executions.count", { running: running.items.length })}</span>
      </h1>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label={t("executions.search")}
          placeholder={t("executions.search")}
          value={text}
          onInput={(event) => router.setQuery("q", event.currentTarget.value)}
        />
        <label>
          <input
            type="checkbox"
            checked={onlyFailed}
            onChange={(event) => router.setQuery("failed", event.currentTarget.checked ? "1" : "")}
          />{" "}
          {t("job.onlyFailed")}
        </label>
      </form>
      <Failure error={records.error ?? running.error} again={again} />
      {records.state === "loading" ? (
        <Loading />
      ) : rows.length === 0 ? (
        <Empty word="executions.none" />
      ) : (
        <Rows
          label={t("nav.executions")}
          items={rows}
          columns={columns}
          keyOf={(row) => `${row.isRunning} ${row.id} ${row.attempt} ${row.node}`}
        />
      )}
    </>
  );
}
