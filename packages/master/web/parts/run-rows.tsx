/** Runs of pipelines as a table. */
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import type { RunSummary } from "../data/types.ts";
import { type Column, Rows } from "./rows.tsx";
import { RunState } from "./run-state.tsx";
import { Ago, Badge, Empty } from "./small.tsx";

export function RunRows({ runs }: { runs: readonly RunSummary[] }) {
  const { t } = useApp();
  const columns: readonly Column<RunSummary>[] = [
    {
      title: t("run.run"),
      class: "wide",
      cell: (run) => (
        <>
          <a href={href(["runs", run.id], { pipeline: `${run.group}/${run.pipeline}` })}>
            {run.group}/{run.pipeline}
          </a>{" "}
          <span class="dim">{run.id}</span>
        </>
      ),
    },
    {
      title: t("node.state"),
      class: "wide",
      cell: (run) => (
        <>
          <RunState state={run.state} />{" "}
          {run.waiting.length > 0 && <Badge tone="warn">{t("run.waits", { tasks: run.waiting.join(", ") })}</Badge>}
          {run.position !== undefined && <span class="dim">#{run.position}</span>}
        </>
      ),
    },
    { title: t("run.tasks"), cell: ({ tasks }) => `${tasks.ended}/${tasks.total}${tasks.failed > 0 ? ` (✗ ${tasks.failed})` : ""}` },
    { title: t("run.by"), class: "large", cell: (run) => `${run.by} (${run.trigger})` },
    { title: t("run.created"), cell: (run) => <Ago at={run.createdAt} /> },
    { title: t("record.ended"), class: "large", cell: (run) => <Ago at={run.endedAt} /> },
  ];
  return runs.length === 0 ? (
    <Empty word="runs.none" />
  ) : (
    <Rows label={t("nav.runs")} items={runs} columns={columns} keyOf={({ id }) => id} />
  );
}
