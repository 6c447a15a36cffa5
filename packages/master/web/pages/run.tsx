/** One run of a pipeline, live: its tasks, what waits for a decision and deciding it, cancelling, running again, outputs. */
import { useMemo, useState } from "preact/hooks";
import { randomKey } from "../base/clock.ts";
import { href } from "../base/router.ts";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { useTouches } from "../data/touches.ts";
import type { Run, Task } from "../data/types.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Graph } from "../parts/graph.tsx";
import { RunState } from "../parts/run-state.tsx";
import { Ago, Card, Facts, Failure, Labels, Loading, Time } from "../parts/small.tsx";

type Decision = { readonly task: string; readonly word: "approve" | "deny" | "confirm" | "reject" };
type Open =
  | { readonly kind: "decide"; readonly decision: Decision }
  | { readonly kind: "cancel" }
  | { readonly kind: "rerun"; readonly from?: string };

export function RunPage() {
  const { router, api, t } = useApp();
  const { path, query } = router.route.value;
  const id = path[1] ?? "";
  const touches = useTouches(({ type, data }) => type === "run" && data.key === id, [id]);
  const { value: run, error, again } = useFetched(() => api.pipelineRun(id, query.get("pipeline") ?? undefined), [id], [touches]);
  const [open, setOpen] = useState<Open | undefined>(undefined);
  if (run === undefined) {
    return (
      <>
        <h1>{t("run.run")}</h1>
        {error === undefined ? <Loading /> : <Failure error={error} again={again} />}
      </>
    );
  }
  return (
    <>
      <Title run={run} onOpen={setOpen} />
      <Failure error={error} />
      <Card title={t("pipeline.tasks")}>
        <Graph tasks={run.tasks} states={new Map(run.tasks.map((task) => [task.name, task.state]))} label={t("pipeline.tasks")} />
        <ul class="tasks">
          {run.tasks.map((task) => (
            <TaskItem key={task.name} run={run} task={task} onOpen={setOpen} />
          ))}
        </ul>
      </Card>
      <Card title={t("run.about")}>
        <Facts
          rows={[
            [t("run.by"), `${run.by} (${run.trigger})`],
            [t("run.created"), <Time at={run.createdAt} />],
            [t("record.began"), <Time at={run.startedAt} />],
            [t("record.ended"), <Time at={run.endedAt} />],
            run.deadline === undefined ? undefined : [t("run.deadline"), <Time at={run.deadline} />],
            Object.keys(run.params).length === 0 ? undefined : [t("run.params"), <Labels labels={run.params} />],
            run.sequence === undefined ? undefined : [t("run.sequence"), run.sequence],
            run.attempt > 1 ? [t("record.attempt"), run.attempt] : undefined,
          ]}
        />
      </Card>
      {open !== undefined && (
        <Ask
          run={run}
          open={open}
          onDone={() => {
            setOpen(undefined);
            again();
          }}
        />
      )}
    </>
  );
}

function Title({ run, onOpen }: { run: Run; onOpen(open: Open): void }) {
  const { t } = useApp();
  const { mayChange } = useWho();
  const isOver = run.endedAt !== undefined && run.state !== "active" && run.state !== "queued";
  return (
    <div class="title">
      <h1>
        <a href={href(["pipelines", run.group, run.pipeline])}>
          <span class="dim">{run.group}/</span>
          {run.pipeline}
        </a>{" "}
        <RunState state={run.state} />
      </h1>
      <p class="dim">
        <code>{run.id}</code> <Labels labels={run.labels} />
      </p>
      {run.message !== undefined && <p>{run.message}</p>}
      {mayChange && (
        <div class="actions">
          {isOver ? (
            <button type="button" onClick={() => onOpen({ kind: "rerun" })}>
              {t("do.rerun")}
            </button>
          ) : (
            <button type="button" class="danger" onClick={() => onOpen({ kind: "cancel" })}>
              {t("do.cancelRun")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function TaskItem({ run, task, onOpen }: { run: Run; task: Task; onOpen(open: Open): void }) {
  const { t } = useApp();
  const { who, mayChange } = useWho();
  const isOver = run.endedAt !== undefined && run.state !== "active" && run.state !== "queued";
  const deciders = task.state === "waitingAudit" ? task.auditors : task.state === "waitingConfirm" ? task.checkers : undefined;
  const mayDecide = deciders?.includes(who?.name ?? "") === true;
  const words =
    task.state === "waitingAudit"
      ? (["approve", "deny"] as const)
      : task.state === "waitingConfirm"
        ? (["confirm", "reject"] as const)
        : [];
  const decided = [task.audit, task.confirm].filter((decision) => decision !== undefined);
  return (
    <li>
      <div>
        <strong>{task.name}</strong> <RunState state={task.state} /> <span class="dim">{task.job}</span>{" "}
        {task.attempt > 1 && <span class="dim">{t("execution.attempt", { n: task.attempt })}</span>} <Ago at={task.endedAt ?? task.since} />
        {task.message !== undefined && <p>{task.message}</p>}
        {task.instances?.map((instance) => (
          <p key={instance.execution}>
            <a href={href(["executions", instance.execution], { job: task.job })}>{instance.node}</a> <RunState state={instance.state} />{" "}
            {instance.message}
          </p>
        ))}
        {decided.map((decision) => (
          <p key={decision.at} class="dim">
            {t(decision.verdict === "yes" ? "run.saidYes" : "run.saidNo", { by: decision.by })} {decision.comment} <Ago at={decision.at} />
          </p>
        ))}
        {task.outputs !== undefined && Object.keys(task.outputs).length > 0 && (
          <p>
            <span class="dim">{t("run.outputs")}</span>{" "}
            <Labels labels={Object.fromEntries(Object.entries(task.outputs).map(([name, value]) => [name, String(value)]))} />
          </p>
        )}
      </div>
      {deciders !== undefined && !mayDecide && <span class="dim">{t("run.deciders", { names: deciders.join(", ") })}</span>}
      {mayChange && (
        <div class="actions">
          {(mayDecide ? words : []).map((word) => (
            <button
              key={word}
              type="button"
              class={word === "approve" || word === "confirm" ? "primary" : "danger"}
              aria-label={`${t(`do.${word}`)} ${task.name}`}
              onClick={() => onOpen({ kind: "decide", decision: { task: task.name, word } })}
            >
              {t(`do.${word}`)}
            </button>
          ))}
          {isOver && task.part === "main" && (
            <button type="button" class="quiet" onClick={() => onOpen({ kind: "rerun", from: task.name })}>
              {t("do.rerunFrom")}
            </button>
          )}
        </div>
      )}
    </li>
  );
}

function Ask({ run, open, onDone }: { run: Run; open: Open; onDone(): void }) {
  const app = useApp();
  const { t, api } = app;
  const [comment, setComment] = useState("");
  const once = useMemo(randomKey, []);
  const title =
    open.kind === "decide"
      ? `${t(`do.${open.decision.word}`)}: ${open.decision.task}`
      : t(open.kind === "cancel" ? "do.cancelRun" : "do.rerun");
  const text =
    open.kind === "rerun" ? (open.from === undefined ? t("run.rerunText") : t("run.rerunFromText", { task: open.from })) : undefined;
  const isBad = open.kind === "cancel" || (open.kind === "decide" && (open.decision.word === "deny" || open.decision.word === "reject"));
  const yes = () =>
    act(app, t("do.done"), () => {
      if (open.kind === "decide") return api.decide(run.id, open.decision.task, open.decision.word, comment === "" ? {} : { comment });
      if (open.kind === "cancel") return api.cancelRun(run.id, comment === "" ? {} : { reason: comment });
      return api.rerunRun(run.id, open.from === undefined ? {} : { from: open.from }, once);
    });
  return (
    <Confirm
      title={title}
      {...(text === undefined ? {} : { text })}
      action={open.kind === "decide" ? t(`do.${open.decision.word}`) : t(open.kind === "cancel" ? "do.cancelRun" : "do.rerun")}
      {...(isBad ? { tone: "bad" as const } : {})}
      onDone={onDone}
      onYes={yes}
    >
      {open.kind !== "rerun" && (
        <label>
          {t("run.comment")}
          <input type="text" value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
      )}
    </Confirm>
  );
}
