/** Jobs, their ticks and their verdicts as text for people. */
import { outcomeWord } from "fleetcron-shared/model/record";
import type { JobView, NextResult, WhyResult } from "../http/api-schema.ts";
import type { Colour, Context } from "./context.ts";
import { humanDuration, humanTime, plain } from "./human.ts";
import { type Column, detailText, tableText, yamlText } from "./output.ts";

type Shown = Pick<Context, "clock" | "paint">;

export function jobName(job: Pick<JobView, "group" | "id">): string {
  return `${job.group}/${job.id}`;
}

export function jobColumns({ clock, paint }: Shown): Column<JobView>[] {
  return [
    { title: "JOB", cell: jobName },
    { title: "KIND", cell: (job) => job.spec.kind ?? "common" },
    { title: "WHEN", cell: (job) => `${job.rules[0]?.words ?? "-"}${job.rules.length > 1 ? ` (+${job.rules.length - 1})` : ""}` },
    {
      title: "NEXT",
      cell: (job) => (job.spec.pause === true ? paint("yellow", "paused") : humanTime(firstNext(job), clock.now())),
      sort: (job) => firstNext(job) ?? "~",
    },
    { title: "LAST", cell: (job) => lastText(job, clock.now(), paint), sort: (job) => job.stats?.last?.endTime ?? "" },
    { title: "OK", cell: (job) => String(job.stats?.successCount ?? 0), sort: (job) => job.stats?.successCount ?? 0 },
    { title: "FAILED", cell: (job) => String(job.stats?.failureCount ?? 0), sort: (job) => job.stats?.failureCount ?? 0 },
  ];
}

export async function jobText(context: Shown, job: JobView): Promise<string> {
  const now = context.clock.now();
  const { spec, stats, acknowledged } = job;
  const head = detailText(context, [
    ["job", jobName(job)],
    ["name", spec.name],
    ["description", spec.description],
    ["kind", spec.kind ?? "common"],
    ["state", spec.pause === true ? context.paint("yellow", "paused") : "active"],
    ["revision", `${job.revision}, updated ${humanTime(job.updatedAt, now)}, created ${humanTime(job.createdAt, now)}`],
    ["taken over", acknowledged === undefined ? undefined : `by ${acknowledged.nodes} of ${acknowledged.of} online nodes`],
    ["last", lastText(job, now, context.paint)],
    [
      "so far",
      stats === undefined
        ? undefined
        : `${stats.successCount} succeeded, ${stats.failureCount} failed, ${stats.skippedCount} skipped, ${stats.lostCount} lost; ${humanDuration(stats.avgTimeMs)} on average`,
    ],
  ]);
  const rules = await tableText(
    context,
    [
      { title: "RULE", cell: (rule) => rule.id },
      { title: "WHEN", cell: (rule) => rule.words },
      { title: "NEXT", cell: (rule) => humanTime(rule.next, now) },
    ],
    job.rules,
  );
  return `${head}\n${rules}\n${await yamlText({ spec })}`;
}

export function nextText({ clock }: Pick<Context, "clock">, result: NextResult): string {
  const blocks = result.rules.map((rule) => {
    const ticks = rule.next.map((at) => `  ${at}  ${humanTime(at, clock.now())}\n`).join("");
    return `${rule.id}: ${plain(rule.words)}\n${ticks === "" ? "  no further tick\n" : ticks}`;
  });
  return `${result.paused ? "the job is paused: none of these ticks fires until `job resume`\n" : ""}${blocks.join("")}`;
}

const VERDICT_COLOURS: Partial<Record<WhyResult["verdict"], Colour>> = {
  fired: "green",
  running: "green",
  missed: "red",
  lost: "red",
  skipped: "yellow",
};

export function whyText(context: Shown, why: WhyResult): string {
  const colour = VERDICT_COLOURS[why.verdict];
  const verdict = `${why.verdict}${why.reason === null ? "" : `: ${plain(why.reason)}`}`;
  const now = context.clock.now();
  const due = why.dueAt === null ? "" : `${why.dueAt} (${humanTime(why.dueAt, now)})${why.rule === null ? "" : ` of rule ${why.rule}`}`;
  const records = why.records.map(
    (record) => `  record ${record.id}: ${outcomeWord(record.outcome)} on ${record.nodeId}, ended ${humanTime(record.endTime, now)}\n`,
  );
  return [
    `${colour === undefined ? verdict : context.paint(colour, verdict)}\n`,
    `${plain(why.text)}\n`,
    detailText(context, [
      ["tick", due],
      ["claim", why.claim === undefined ? undefined : `by ${why.claim.node} at ${why.claim.at}`],
      ["next", why.next === null ? undefined : `${why.next} (${humanTime(why.next, now)})`],
    ]),
    ...records,
    ...why.facts.map((fact) => `  - ${plain(fact)}\n`),
  ].join("");
}

function firstNext(job: JobView): string | undefined {
  return job.rules
    .map((rule) => rule.next)
    .filter((next) => next !== null)
    .sort()[0];
}

function lastText(job: JobView, nowMs: number, paint: Context["paint"]): string {
  const last = job.stats?.last;
  return last === undefined ? "-" : `${paint(last.success ? "green" : "red", last.outcome)} ${humanTime(last.endTime, nowMs)}`;
}
