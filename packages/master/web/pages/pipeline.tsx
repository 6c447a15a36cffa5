/** One pipeline: its tasks as a drawing, its triggers, its runs, and running it. */
import { useMemo, useState } from "preact/hooks";
import { randomKey } from "../base/clock.ts";
import { href } from "../base/router.ts";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { useTouches } from "../data/touches.ts";
import type { Pipeline } from "../data/types.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Graph } from "../parts/graph.tsx";
import { useParams } from "../parts/run-dialog.tsx";
import { RunRows } from "../parts/run-rows.tsx";
import { Badge, Card, Empty, Failure, Labels, Loading, Time } from "../parts/small.tsx";

export function PipelinePage() {
  const { router, api, t } = useApp();
  const { mayChange } = useWho();
  const [, group = "", id = ""] = router.route.value.path;
  const key = `${group}/${id}`;
  const touches = useTouches(({ type, data }) => type === "pipeline" && data.key === key, [key]);
  const runTouches = useTouches(({ type, data }) => type === "run" && data.group === group, [group]);
  const { value, error, again } = useFetched(() => api.pipeline({ group, id }), [key], [touches]);
  const plan = useFetched(() => api.dryRunPipeline({ group, id }, {}), [key], [value?.revision]);
  const runs = useFetched(() => api.pipelineRuns({ pipeline: key, limit: 100 }), [key], [runTouches]);
  const [isAsking, setAsking] = useState(false);
  if (value === undefined) {
    return (
      <>
        <h1>{key}</h1>
        {error === undefined ? <Loading /> : <Failure error={error} again={again} />}
      </>
    );
  }
  return (
    <>
      <div class="title">
        <h1>
          <span class="dim">{group}/</span>
          {id}
        </h1>
        {value.spec.name !== undefined && <p class="name">{value.spec.name}</p>}
        <p>
          <Labels labels={value.spec.labels} />
        </p>
        {mayChange && (
          <div class="actions">
            <button type="button" class="primary" onClick={() => setAsking(true)}>
              {t("do.run")}
            </button>
          </div>
        )}
      </div>
      <Card title={t("pipeline.tasks")}>
        <Failure error={plan.error} />
        {plan.value !== undefined && <Graph tasks={plan.value.tasks} label={t("pipeline.tasks")} />}
        <ol class="list">
          {plan.value?.tasks.map((task) => (
            <li key={task.name}>
              <strong>{task.name}</strong> <span class="dim">{task.job}</span>{" "}
              {task.needs.length > 0 && <span class="dim">{t("pipeline.after", { tasks: task.needs.join(", ") })}</span>}{" "}
              {task.nodes.join(", ")} {task.note}
            </li>
          ))}
        </ol>
      </Card>
      <Card title={t("pipeline.triggers")}>
        {(value.triggers ?? []).length === 0 && <Empty word="pipeline.noTriggers" />}
        <ul class="list">
          {value.triggers?.map((trigger) => (
            <li key={trigger.name}>
              <strong>{trigger.name}</strong> {trigger.words} {trigger.paused === true && <Badge tone="warn">{t("job.paused")}</Badge>}{" "}
              {trigger.next?.[0] !== undefined && <Time at={trigger.next[0]} />} {trigger.hook !== undefined && <code>{trigger.hook}</code>}
            </li>
          ))}
        </ul>
      </Card>
      <Card title={t("nav.runs")}>
        <Failure error={runs.error} again={runs.again} />
        <RunRows runs={runs.value?.items ?? []} />
      </Card>
      {isAsking && <RunPipelineDialog pipeline={value} onDone={() => setAsking(false)} />}
    </>
  );
}

function RunPipelineDialog({ pipeline, onDone }: { pipeline: Pipeline; onDone(): void }) {
  const app = useApp();
  const { t, api } = app;
  const params = useParams(pipeline.spec.params ?? []);
  const once = useMemo(randomKey, []);
  const run = () =>
    act(app, t("run.pipelineStarted"), async () => {
      const made = await api.runPipeline(pipeline, { params: params.given() ?? {} }, once);
      app.router.go(href(["runs", made.id], { pipeline: `${pipeline.group}/${pipeline.id}` }));
    });
  return (
    <Confirm title={t("run.title", { key: `${pipeline.group}/${pipeline.id}` })} action={t("do.run")} onDone={onDone} onYes={run}>
      {params.fields}
    </Confirm>
  );
}
