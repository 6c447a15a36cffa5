/** What one wants to know first: how the fleet is, what went wrong, what runs, what comes next. */
import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { href } from "../base/router.ts";
import { useApp } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { placeOf } from "../data/fleet.ts";
import { useList } from "../data/list.ts";
import { Ago, Badge, Card, Empty, Failure, JobLink, Loading, Outcome, Span, Time } from "../parts/small.tsx";

const SHOWN = 12;
/** What is due next is asked for again when its first has passed, but no more often. */
const NEXT_EVERY_MS = 10_000;

export function Overview() {
  const { t, fleet } = useApp();
  const info = useList(fleet.info).items[0];
  // All jobs may be many: they come when the rest is there.
  const jobs = useList(fleet.jobs, useList(fleet.records).state === "ready");
  const running = useList(fleet.running);
  const nodes = useList(fleet.nodes);
  const runs = useList(fleet.runs);
  const failing = jobs.items.filter((job) => job.stats?.last?.success === false && !job.stats.last.outcome.startsWith("skipped")).length;
  const waiting = runs.items.filter((run) => run.waiting.length > 0).length;
  const online = nodes.items.filter((node) => node.online).length;
  return (
    <>
      <h1>{t("nav.overview")}</h1>
      <Failure error={jobs.error} again={fleet.jobs.renew} />
      <ul class="tiles">
        <Tile to={["jobs"]} name={t("nav.jobs")} value={info?.counts.jobs ?? jobs.items.length} />
        <Tile to={["jobs"]} query={{ show: "failing" }} name={t("overview.failing")} value={failing} tone={failing > 0 ? "bad" : "good"} />
        <Tile to={["executions"]} name={t("overview.running")} value={running.items.length} />
        <Tile
          to={["nodes"]}
          name={t("overview.online")}
          value={`${online}/${nodes.items.length}`}
          tone={online < nodes.items.length ? "warn" : "good"}
        />
        <Tile to={["runs"]} name={t("overview.waiting")} value={waiting} tone={waiting > 0 ? "warn" : "good"} />
      </ul>
      {info !== undefined && !info.etcd.reachable && (
        <p role="alert">
          <Badge tone="bad">{t("overview.etcdAway")}</Badge>
        </p>
      )}
      {jobs.state === "ready" && jobs.items.length === 0 && <Welcome hasNodes={nodes.items.length > 0} />}
      <div class="columns">
        <Wrong />
        <RunningNow />
        <ComingNext />
        <Decisions />
      </div>
    </>
  );
}

function Tile(props: { to: readonly string[]; query?: Record<string, string>; name: string; value: ComponentChildren; tone?: string }) {
  return (
    <li>
      <a class={`tile ${props.tone ?? ""}`} href={href(props.to, props.query)}>
        <span class="value">{props.value}</span> <span class="name">{props.name}</span>
      </a>
    </li>
  );
}

function Welcome({ hasNodes }: { hasNodes: boolean }) {
  const { t } = useApp();
  return (
    <Card title={t("welcome.title")}>
      {!hasNodes && (
        <p>
          {t("welcome.agent")} <code>fleetcron-agent --etcd URL</code>
        </p>
      )}
      <p>
        {t("welcome.job")} <code>fleetcron apply -f jobs.yaml</code>
      </p>
      <p>
        <a class="button" href={href(["jobs"], { new: "1" })}>
          {t("job.new")}
        </a>
      </p>
    </Card>
  );
}

function Wrong() {
  const { t, fleet } = useApp();
  const { items, state, error } = useList(fleet.records);
  const failed = items
    .filter(({ success, outcome }) => !success && !outcome.startsWith("skipped"))
    .sort((a, b) => (a.endTime < b.endTime ? 1 : -1))
    .slice(0, SHOWN);
  return (
    <Card title={t("overview.wrong")}>
      <Failure error={error} again={fleet.records.renew} />
      {state !== "ready" ? (
        <Loading />
      ) : failed.length === 0 ? (
        <Empty word="overview.nothingWrong" />
      ) : (
        <ul class="list">
          {failed.map((record) => (
            <li key={record.id}>
              <a href={href(["executions", record.execution], { job: `${record.group}/${record.job}` })}>
                {record.group}/{record.job}
              </a>{" "}
              <Outcome outcome={record.outcome} success={false} /> <span class="dim">{placeOf(record)}</span> <Ago at={record.endTime} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function RunningNow() {
  const { t, fleet, now } = useApp();
  const { items, state } = useList(fleet.running);
  const shown = [...items].sort((a, b) => ((a.startedAt ?? "") < (b.startedAt ?? "") ? -1 : 1)).slice(0, SHOWN);
  return (
    <Card title={t("overview.runs")} more={items.length > SHOWN && <a href={href(["executions"])}>{t("do.all", { n: items.length })}</a>}>
      {state !== "ready" ? (
        <Loading />
      ) : items.length === 0 ? (
        <Empty word="overview.nothingRuns" />
      ) : (
        <ul class="list">
          {shown.map((execution) => (
            <li key={execution.id}>
              <a href={href(["executions", execution.id], { job: `${execution.group}/${execution.job}` })}>
                {execution.group}/{execution.job}
              </a>{" "}
              <span class="dim">{execution.node}</span>{" "}
              <Span ms={execution.startedAt === undefined ? undefined : Math.max(0, now.value - Date.parse(execution.startedAt))} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function ComingNext() {
  const { t, api, now } = useApp();
  const turn = useComputed(() => Math.floor(now.value / NEXT_EVERY_MS)).value;
  const { value, error } = useFetched(() => api.jobs({ sort: "next", limit: SHOWN }), [], [turn]);
  const due = (value?.items ?? [])
    .flatMap((job) => job.rules.map((rule) => ({ job, next: rule.next })))
    .filter(({ next }) => next !== null);
  due.sort((a, b) => ((a.next ?? "") < (b.next ?? "") ? -1 : 1));
  return (
    <Card title={t("overview.next")} more={<a href={href(["forecast"])}>{t("nav.forecast")}</a>}>
      <Failure error={error} />
      {value === undefined ? (
        <Loading />
      ) : due.length === 0 ? (
        <Empty word="overview.nothingNext" />
      ) : (
        <ul class="list">
          {due.slice(0, SHOWN).map(({ job, next }, i) => (
            <li key={`${job.group}/${job.id}/${i}`}>
              <JobLink group={job.group} id={job.id} /> <Time at={next} /> <Ago at={next} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Decisions() {
  const { t, fleet } = useApp();
  const waiting = useList(fleet.runs).items.filter((run) => run.waiting.length > 0);
  if (waiting.length === 0) return null;
  return (
    <Card title={t("overview.decide")}>
      <ul class="list">
        {waiting.map((run) => (
          <li key={run.id}>
            <a href={href(["runs", run.id], { pipeline: `${run.group}/${run.pipeline}` })}>
              {run.group}/{run.pipeline}
            </a>{" "}
            <Badge tone="warn">{run.waiting.join(", ")}</Badge> <Ago at={run.createdAt} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
