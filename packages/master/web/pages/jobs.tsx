/** All jobs, live, filtered as one types. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { useApp, useWho } from "../data/context.ts";
import { matchesWords } from "../data/filter.ts";
import { useList } from "../data/list.ts";
import type { Job } from "../data/types.ts";
import type { Word } from "../i18n/i18n.ts";
import { JobEditor, NEW_JOB } from "../parts/job-editor.tsx";
import { type Column, Rows } from "../parts/rows.tsx";
import { Ago, Badge, Empty, Failure, JobLink, Labels, Loading, Outcome, Span } from "../parts/small.tsx";

const SHOWS = ["all", "failing", "paused", "running"] as const;
type Show = (typeof SHOWS)[number];
const SORTS = ["key", "next", "last", "slow"] as const;
type Sort = (typeof SORTS)[number];

/** The earliest of its rules' next ticks. */
export function nextOf(job: Job): string | undefined {
  return job.rules
    .map((rule) => rule.next)
    .filter((next) => next !== null)
    .sort()[0];
}

export function isFailing(job: Job): boolean {
  const last = job.stats?.last;
  return last !== undefined && !last.success && !last.outcome.startsWith("skipped");
}

/** What is searched in: key, name, description, owner, labels, and what the rules say. */
function textOf({ group, id, spec, rules }: Job): string {
  const labels = Object.entries(spec.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return [`${group}/${id}`, spec.name ?? "", spec.description ?? "", spec.owner ?? "", ...labels, ...rules.map(({ words }) => words)].join(
    "\n",
  );
}

const PLACE: Readonly<Record<Sort, (job: Job) => string | number>> = {
  key: ({ group, id }) => `${group}/${id}`,
  next: (job) => nextOf(job) ?? "~",
  last: ({ stats }) => -Date.parse(stats?.last?.endTime ?? "1970-01-01T00:00:00Z"),
  slow: ({ stats }) => -(stats?.avgTimeMs ?? -1),
};

export function Jobs() {
  const { t, fleet, router } = useApp();
  const { mayChange } = useWho();
  const { items, state, error } = useList(fleet.jobs);
  const running = useList(fleet.running).items;
  const { query } = router.route.value;
  const text = query.get("q") ?? "";
  const show = SHOWS.find((one) => one === query.get("show")) ?? "all";
  const sort = SORTS.find((one) => one === query.get("sort")) ?? "key";
  const [isNew, setNew] = useState(query.get("new") !== null);

  const searchable = useMemo(() => items.map((job) => ({ job, text: textOf(job).toLowerCase() })), [items]);
  const runningNow = useMemo(() => new Set(running.map(({ group, job }) => `${group}/${job}`)), [running]);
  const shown = useMemo(() => {
    const passes: Readonly<Record<Show, (job: Job) => boolean>> = {
      all: () => true,
      failing: isFailing,
      paused: (job) => job.spec.pause === true,
      running: ({ group, id }) => runningNow.has(`${group}/${id}`),
    };
    const found = searchable.filter((one) => passes[show](one.job) && matchesWords(one.text, text)).map(({ job }) => job);
    const places = new Map(found.map((job) => [job, PLACE[sort](job)]));
    return found.sort((a, b) => {
      const [x = "", y = ""] = [places.get(a), places.get(b)];
      return x < y ? -1 : x > y ? 1 : 0;
    });
  }, [searchable, text, show, sort, show === "running" ? runningNow : undefined]);

  const columns: readonly Column<Job>[] = [
    {
      title: t("job.key"),
      class: "wide",
      cell: (job) => (
        <>
          <JobLink group={job.group} id={job.id} /> {job.spec.pause === true && <Badge tone="warn">{t("job.paused")}</Badge>}{" "}
          {runningNow.has(`${job.group}/${job.id}`) && <Badge tone="busy">{t("job.running")}</Badge>}{" "}
          <span class="dim">{job.spec.name}</span>
        </>
      ),
    },
    { title: t("job.schedule"), class: "wide", cell: (job) => <span class="dim">{job.rules.map(({ words }) => words).join("; ")}</span> },
    { title: t("job.next"), cell: (job) => <NextTick job={job} /> },
    { title: t("job.last"), cell: ({ stats }) => <Outcome outcome={stats?.last?.outcome} success={stats?.last?.success} /> },
    { title: t("job.ended"), class: "large", cell: ({ stats }) => <Ago at={stats?.last?.endTime} /> },
    { title: t("job.mean"), class: "large", cell: ({ stats }) => <Span ms={stats?.avgTimeMs} /> },
    { title: t("job.labels"), class: "large", cell: ({ spec }) => <Labels labels={spec.labels} /> },
  ];
  return (
    <>
      <h1>
        {t("nav.jobs")} <span class="count">{shown.length === items.length ? items.length : `${shown.length} / ${items.length}`}</span>
      </h1>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label={t("jobs.search")}
          placeholder={t("jobs.search")}
          value={text}
          onInput={(event) => router.setQuery("q", event.currentTarget.value)}
        />
        <Choice word="jobs.show" values={SHOWS} value={show} onPick={(value) => router.setQuery("show", value === "all" ? "" : value)} />
        <Choice word="jobs.sort" values={SORTS} value={sort} onPick={(value) => router.setQuery("sort", value === "key" ? "" : value)} />
        {mayChange && (
          <button type="button" onClick={() => setNew(true)}>
            {t("job.new")}
          </button>
        )}
      </form>
      <Failure error={error} again={fleet.jobs.renew} />
      {state === "loading" || (state === "idle" && error === undefined) ? (
        <Loading />
      ) : items.length === 0 ? (
        <Empty word="jobs.none" />
      ) : shown.length === 0 ? (
        <Empty word="jobs.noneFound" />
      ) : (
        <Rows label={t("nav.jobs")} items={shown} columns={columns} keyOf={({ group, id }) => `${group}/${id}`} />
      )}
      {isNew && (
        <JobEditor
          title={t("job.new")}
          text={NEW_JOB}
          onClose={() => {
            setNew(false);
            router.setQuery("new", "");
          }}
        />
      )}
    </>
  );
}

/** When it has passed since the job was last told of, the master is asked for the one after it. */
function NextTick({ job }: { job: Job }) {
  const { now, fleet } = useApp();
  const next = nextOf(job);
  const hasPassed = next !== undefined && Date.parse(next) < now.value - 1000;
  useEffect(() => {
    if (hasPassed) fleet.freshen(job);
  }, [hasPassed && now.value]);
  return next === undefined ? <span class="dim">–</span> : <Ago at={next} />;
}

function Choice<T extends string>(props: { word: "jobs.show" | "jobs.sort"; values: readonly T[]; value: T; onPick(value: T): void }) {
  const { t } = useApp();
  return (
    <label>
      {t(props.word)}{" "}
      <select value={props.value} onChange={(event) => props.onPick(event.currentTarget.value as T)}>
        {props.values.map((value) => (
          <option key={value} value={value}>
            {t(`${props.word}.${value}` as Word)}
          </option>
        ))}
      </select>
    </label>
  );
}
