/** One job: what it does and when, how it went, and what one can do about it. */
import { useState } from "preact/hooks";
import { dateTime } from "../base/format.ts";
import { act, useApp, useWho } from "../data/context.ts";
import { useFetched } from "../data/fetched.ts";
import { useTouches } from "../data/touches.ts";
import type { Job } from "../data/types.ts";
import { JobEditor, yamlOf } from "../parts/job-editor.tsx";
import { JobHistory } from "../parts/job-history.tsx";
import { RunJobDialog } from "../parts/run-dialog.tsx";
import { Ago, Badge, Card, Facts, Failure, Labels, Loading, Outcome, Span, Time } from "../parts/small.tsx";
import { VerdictCalendar } from "../parts/verdict-calendar.tsx";
import { WhyCard } from "../parts/why.tsx";

const TICKS = 5;

export function JobPage() {
  const { router, api } = useApp();
  const [, group = "", id = ""] = router.route.value.path;
  const key = `${group}/${id}`;
  const touches = useTouches(({ type, data }) => (type === "job" || type === "stats") && data.key === key, [key]);
  const { value: job, error, again } = useFetched(() => api.job({ group, id }), [key], [touches]);
  if (job === undefined) {
    return (
      <>
        <h1>{key}</h1>
        {error === undefined ? <Loading /> : <Failure error={error} again={again} />}
      </>
    );
  }
  return (
    <>
      <Title job={job} again={again} />
      <Failure error={error} again={again} />
      <div class="columns">
        <About job={job} />
        <NextTicks job={job} touches={touches} />
        <WhyCard job={job} touches={touches} />
      </div>
      <VerdictCalendar job={job} touches={touches} />
      <JobHistory job={job} />
    </>
  );
}

function Title({ job, again }: { job: Job; again(): void }) {
  const app = useApp();
  const { t, api } = app;
  const { mayChange } = useWho();
  const [open, setOpen] = useState<"run" | "edit" | undefined>(undefined);
  const isPaused = job.spec.pause === true;
  const setPause = async () => {
    await act(app, t(isPaused ? "job.isResumed" : "job.isPaused"), () => (isPaused ? api.resumeJob(job) : api.pauseJob(job)));
    again();
  };
  return (
    <div class="title">
      <h1>
        <span class="dim">{job.group}/</span>
        {job.id} {isPaused && <Badge tone="warn">{t("job.paused")}</Badge>}
      </h1>
      {job.spec.name !== undefined && <p class="name">{job.spec.name}</p>}
      {job.spec.description !== undefined && <p class="dim">{job.spec.description}</p>}
      {mayChange && (
        <div class="actions">
          <button type="button" class="primary" onClick={() => setOpen("run")}>
            {t("do.run")}
          </button>
          <button type="button" onClick={() => void setPause()}>
            {t(isPaused ? "do.resume" : "do.pause")}
          </button>
          <button type="button" onClick={() => setOpen("edit")}>
            {t("do.edit")}
          </button>
        </div>
      )}
      {open === "run" && <RunJobDialog job={job} onDone={() => setOpen(undefined)} />}
      {open === "edit" && (
        <JobEditor
          title={t("edit.title", { key: `${job.group}/${job.id}` })}
          text={yamlOf(job)}
          job={job}
          onClose={() => {
            setOpen(undefined);
            again();
          }}
        />
      )}
    </div>
  );
}

function About({ job }: { job: Job & { acknowledged?: { nodes: number; of: number } | undefined } }) {
  const { t } = useApp();
  const { spec, stats } = job;
  return (
    <Card title={t("job.about")}>
      <Facts
        rows={[
          [t("job.schedule"), job.rules.map(({ id, words }) => <div key={id}>{words}</div>)],
          [t("job.runs"), <code class="command">{commandOf(spec)}</code>],
          [t("job.kind"), `${spec.kind ?? "common"}, overlap ${spec.overlap ?? "skip"}`],
          spec.timeout === undefined ? undefined : [t("job.timeout"), spec.timeout],
          spec.retry === undefined
            ? undefined
            : [t("job.retry"), `${spec.retry.limit}× ${spec.retry.delay ?? ""} ${spec.retry.backoff ?? ""}`],
          spec.labels === undefined ? undefined : [t("job.labels"), <Labels labels={spec.labels} />],
          spec.owner === undefined ? undefined : [t("job.owner"), spec.owner],
          stats === undefined
            ? undefined
            : [
                t("job.counts"),
                t("job.countsText", {
                  ok: stats.successCount,
                  failed: stats.failureCount,
                  skipped: stats.skippedCount,
                  lost: stats.lostCount,
                }),
              ],
          stats === undefined ? undefined : [t("job.mean"), <Span ms={stats.avgTimeMs} />],
          stats?.last === undefined
            ? undefined
            : [
                t("job.last"),
                <>
                  <Outcome outcome={stats.last.outcome} success={stats.last.success} /> {stats.last.nodeId} <Ago at={stats.last.endTime} />
                </>,
              ],
          job.acknowledged === undefined ? undefined : [t("job.acknowledged"), `${job.acknowledged.nodes}/${job.acknowledged.of}`],
          [t("job.changed"), <Time at={job.updatedAt} />],
        ]}
      />
    </Card>
  );
}

/** What is run, as one line or a script. */
function commandOf({ run }: Job["spec"]): string {
  if (run.command !== undefined) return run.command.script ?? run.command.argv?.join(" ") ?? "";
  return JSON.stringify(run, null, 1);
}

function NextTicks({ job, touches }: { job: Job; touches: number }) {
  const { t, api, now } = useApp();
  const first = job.rules
    .map(({ next }) => next)
    .filter((next) => next !== null)
    .sort()[0];
  // Asked again when the first has passed, and then with each minute that passes.
  const passed = first !== undefined && Date.parse(first) < now.value ? Math.floor(now.value / 10_000) : 0;
  const { value, error } = useFetched(() => api.nextTicks(job, { n: TICKS }), [job.group, job.id], [touches, job.revision, passed]);
  return (
    <Card title={t("job.nextTicks")}>
      <Failure error={error} />
      {value?.paused === true && <p>{t("job.pausedTicks")}</p>}
      {value?.rules.map((rule) => (
        <div key={rule.id}>
          <p>
            <code>{rule.id}</code> {rule.words} <span class="dim">{rule.timezone}</span>
          </p>
          <ol class="ticks">
            {rule.next.map((at) => (
              <li key={at}>
                {dateTime(at)} <span class="dim">(</span>
                <Ago at={at} />
                <span class="dim">)</span>
              </li>
            ))}
          </ol>
          {rule.next.length === 0 && <p class="dim">{t("edit.never")}</p>}
        </div>
      ))}
    </Card>
  );
}
