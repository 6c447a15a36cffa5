/** The newest runs of all pipelines, live. */
import { useMemo } from "preact/hooks";
import { useApp } from "../data/context.ts";
import { matchesWords } from "../data/filter.ts";
import { useList } from "../data/list.ts";
import { RunRows } from "../parts/run-rows.tsx";
import { Failure, Loading } from "../parts/small.tsx";

export function Runs() {
  const { t, fleet, router } = useApp();
  const { items, state, error } = useList(fleet.runs);
  const text = router.route.value.query.get("q") ?? "";
  const shown = useMemo(
    () =>
      items
        .filter((run) => matchesWords(`${run.group}/${run.pipeline} ${run.state} ${run.id} ${run.by} ${run.trigger}`.toLowerCase(), text))
        .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)),
    [items, text],
  );
  return (
    <>
      <h1>{t("nav.runs")}</h1>
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label={t("runs.search")}
          placeholder={t("runs.search")}
          value={text}
          onInput={(event) => router.setQuery("q", event.currentTarget.value)}
        />
      </form>
      <Failure error={error} again={fleet.runs.renew} />
      {state === "loading" ? <Loading /> : <RunRows runs={shown} />}
    </>
  );
}
