/** One execution: its attempts, how they ended, and what they wrote. */

import { summaryOf } from "fleetcron-shared/model/record-summary";
import { useState } from "preact/hooks";
import { problemView } from "../../src/client/problem.ts";
import { bytes } from "../base/format.ts";
import { href } from "../base/router.ts";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import type { RecordSummary } from "../data/fleet.ts";
import { useTouches } from "../data/touches.ts";
import type { Execution, ExecutionDetail, Record } from "../data/types.ts";
import { Confirm } from "../parts/dialog.tsx";
import { LogViewer } from "../parts/log-viewer.tsx";
import { RunJobDialog } from "../parts/run-dialog.tsx";
import { Badge, Card, Facts, Failure, JobLink, Loading, Outcome, Span, Time } from "../parts/small.tsx";

export function ExecutionPage() {
  const { router, api, t } = useApp();
  const { path, query } = router.route.value;
  const id = path[1] ?? "";
  const job = query.get("job") ?? undefined;
  const touches = useTouches(
    ({ type, data }) =>
      (type === "record" && (data.value as RecordSummary | undefined)?.execution === id) ||
      (type === "execution" && (data.value === undefined || (data.value as Execution).id === id)),
    [id],
  );
  const { value, error, again } = useFetched(() => api.execution(id, job), [id, job], [touches]);
  const isYetToBegin = value === undefined && error !== undefined && problemView(error).code === "execution/not-found";
  const [asked, setAsked] = useState<number | undefined>(query.get("attempt") === null ? undefined : Number(query.get("attempt")));
  if (value === undefined) {
    return (
      <>
        <h1>{t("execution.title")}</h1>
        <p class="dim">
          <code>{id}</code>
        </p>
        {isYetToBegin ? (
          <p role="status">{t("execution.waiting")}</p>
        ) : error === undefined ? (
          <Loading />
        ) : (
          <Failure error={error} again={again} />
        )}
        {isYetToBegin && <LogViewer key={id} execution={id} job={job} attempt={undefined} isRunning />}
      </>
    );
  }
  const newest = value.attempt;
  const attempt = asked ?? newest;
  const record = value.records.find((one) => one.attempt === attempt);
  const isRunning = value.state === "running" && attempt === newest;
  return (
    <>
      <Title execution={value} />
      <Card title={t("execution.about")}>
        {value.records.length + (value.state === "running" ? 1 : 0) > 1 && (
          <p class="tabs" role="group" aria-label={t("record.attempt")}>
            {attemptsOf(value).map((number) => (
              <button key={number} type="button" aria-pressed={number === attempt} onClick={() => setAsked(number)}>
                {t("execution.attempt", { n: number })}
              </button>
            ))}
          </p>
        )}
        {record === undefined ? <RunningFacts execution={value} /> : <RecordFacts record={record} />}
      </Card>
      <LogViewer key={`${id} ${attempt}`} execution={id} job={`${value.group}/${value.job}`} attempt={attempt} isRunning={isRunning} />
    </>
  );
}

function attemptsOf({ records, attempt }: ExecutionDetail): number[] {
  return [...new Set([...records.map((record) => record.attempt), attempt])].sort((a, b) => a - b);
}

function Title({ execution }: { execution: ExecutionDetail }) {
  const app = useApp();
  const { t, api } = app;
  const { mayChange } = useWho();
  const [open, setOpen] = useState<"kill" | "run" | undefined>(undefined);
  const [reason, setReason] = useState("");
  const { group, job: id } = execution;
  const job = useFetched(() => api.job({ group, id }), [group, id]).value;
  return (
    <div class="title">
      <h1>
        <JobLink group={group} id={id} />{" "}
        {execution.state === "running" ? (
          <Badge tone="busy">{t("job.running")}</Badge>
        ) : (
          <Outcome outcome={execution.outcome} success={execution.success} />
        )}
      </h1>
      <p class="dim">
        <a href={href(["nodes", execution.node])}>{execution.node}</a> · <code>{execution.id}</code>
      </p>
      <div class="actions">
        {mayChange && execution.state === "running" && (
          <button type="button" class="danger" onClick={() => setOpen("kill")}>
            {t("do.kill")}
          </button>
        )}
        {mayChange && job !== undefined && (
          <button type="button" onClick={() => setOpen("run")}>
            {t("do.runAgain")}
          </button>
        )}
        {execution.dueAt !== undefined && (
          <a class="button" href={href(["jobs", group, id], { at: execution.dueAt })}>
            {t("why.title")}
          </a>
        )}
      </div>
      {open === "run" && job !== undefined && <RunJobDialog job={job} onDone={() => setOpen(undefined)} />}
      {open === "kill" && (
        <Confirm
          title={t("kill.title", { key: `${group}/${id}` })}
          text={t("kill.text", { node: execution.node })}
          action={t("do.kill")}
          tone="bad"
          onDone={() => setOpen(undefined)}
          onYes={() => act(app, t("kill.asked"), () => api.killExecution(execution.id, reason === "" ? {} : { reason }))}
        >
          <label>
            {t("kill.reason")}
            <input type="text" value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
        </Confirm>
      )}
    </div>
  );
}

function RunningFacts({ execution }: { execution: ExecutionDetail }) {
  const { t, now } = useApp();
  const { startedAt } = execution;
  return (
    <Facts
      rows={[
        [t("record.node"), execution.node],
        execution.dueAt === undefined ? undefined : [t("record.due"), <Time at={execution.dueAt} />],
        [t("record.began"), <Time at={startedAt} />],
        [t("record.took"), <Span ms={startedAt === undefined ? undefined : Math.max(0, now.value - Date.parse(startedAt))} />],
        execution.pid === undefined ? undefined : ["pid", execution.pid],
      ]}
    />
  );
}

function RecordFacts({ record }: { record: Record }) {
  const { t } = useApp();
  const { outcome, success } = summaryOf(record);
  return (
    <Facts
      rows={[
        [t("record.outcome"), <Outcome outcome={outcome} success={success} />],
        "error" in record.outcome ? [t("record.error"), record.outcome.error] : undefined,
        record.outcome.type === "killed" ? [t("record.killedBy"), `${record.outcome.by}: ${record.outcome.reason}`] : undefined,
        [t("record.node"), record.hostname === record.nodeId ? record.nodeId : `${record.nodeId} (${record.hostname})`],
        record.user === undefined ? undefined : [t("record.user"), record.user],
        record.dueAt === undefined ? undefined : [t("record.due"), <Time at={record.dueAt} />],
        [t("record.began"), <Time at={record.beginTime} />],
        [t("record.ended"), <Time at={record.endTime} />],
        [t("record.took"), <Span ms={record.durationMs} />],
        record.skewMs === undefined ? undefined : [t("record.late"), <Span ms={record.skewMs} />],
        record.usage === undefined
          ? undefined
          : [t("record.usage"), t("record.usageText", { cpu: `${record.usage.cpuMs} ms`, rss: bytes(record.usage.maxRssKiB * 1024) })],
        record.command === undefined ? undefined : [t("job.runs"), <code class="command">{record.command}</code>],
        record.runId === undefined ? undefined : [t("record.run"), <a href={href(["runs", record.runId])}>{record.runId}</a>],
        record.provisional === true ? [t("record.provisional"), t("record.provisionalText")] : undefined,
      ]}
    />
  );
}
