/** All pipelines. */
import { useMemo } from "preact/hooks";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { matchesWords } from "../data/filter.ts";
import { useList } from "../data/list.ts";
import type { Pipeline, RunSummary } from "../data/types.ts";
import { type Column, Rows } from "../parts/rows.tsx";
import { RunState } from "../parts/run-state.tsx";
import { Ago, Empty, Failure, Labels, Loading } from "../parts/small.tsx";

export function Pipelines() {
  const { t, fleet, router } = useApp();
  const { items, state, error } = useList(fleet.pipelines);
  const runs = useList(fleet.runs).items;
  const text = router.route.value.query.get("q") ?? "";
  const shown = useMemo(
    () =>
      items
        .filter(({ group, id, spec }) => matchesWords(`${group}/${id} ${spec.name ?? ""}`.toLowerCase(), text))
        .sort((a, b) => (`${a.group}/${a.id}` < `${b.group}/${b.id}` ? -1 : 1)),
    [items, text],
  );
  const last = useMemo(() => {
    const newest = new Map<string, RunSummary>();
    for (const run of runs) {
      const key = `${run.group}/${run.pipeline}`;
      if ((newest.get(key)?.createdAt ?? "") < run.createdAt) newest.set(key, run);
    }
    return newest;
  }, [runs]);
  const columns: readonly Column<Pipeline>[] = [
    {
      title: t("pipeline.key"),
      class: "wide",
      cell: ({ group, id, spec }) => (
        <>
          <a href={href(["pipelines", group, id])}>
            <span class="dim">{group}/</span>
            {id}
          </a>{" "}
          <span class="dim">{spec.name}</span>
        </>
      ),
    },
    {
      title: t("pipeline.lastRun"),
      cell: ({ group, id }) => {
        const run = last.get(`${group}/${id}`);
        return run === undefined ? <span class="dim">–</span> : <RunState state={run.state} />;
      },
    },
    { title: t("run.created"), cell: ({ group, id }) => <Ago at={last.get(`${group}/${id}`)?.createdAt} /> },
    { title: t("job.labels"), class: "large", cell: ({ spec }) => <Labels labels={spec.labels} /> },
  ];
  return (
    <>
      <h1>{t("nav.pipelines")}</h1>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label={t("pipelines.search")}
          placeholder={t("pipelines.search")}
          value={text}
          onInput={(event) => router.setQuery("q", event.currentTarget.value)}
        />
      </form>
      <Failure error={error} again={fleet.pipelines.renew} />
      {state === "loading" ? (
        <Loading />
      ) : shown.length === 0 ? (
        <Empty word="pipelines.none" />
      ) : (
        <Rows label={t("nav.pipelines")} items={shown} columns={columns} keyOf={({ group, id }) => `${group}/${id}`} />
      )}
    </>
  );
}
