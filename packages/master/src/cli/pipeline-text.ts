/** How pipelines, runs and tasks are shown to people. Pure. */
import { fromIso } from "fleetcron-shared/base/clock";
import { tasksOf } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { PipelineDryRun, PipelineRunSummary, PipelineRunView, PipelineTaskView, PipelineView } from "../http/pipeline-schema.ts";
import { toKey } from "../job-ref.ts";
import type { Colour, Context } from "./context.ts";
import { humanDuration, humanTime, plain } from "./human.ts";
import { type Column, detailText, tableText } from "./output.ts";

type Shown = Pick<Context, "clock" | "paint">;

const COLOURS: Partial<Record<PipelineTaskView["state"] | PipelineRunView["state"], Colour>> = {
  succeeded: "green",
  failed: "red",
  cancelled: "yellow",
  cancelling: "yellow",
  waitingAudit: "yellow",
  waitingConfirm: "yellow",
  pending: "dim",
  skipped: "dim",
};

function stateText(context: Shown, state: PipelineTaskView["state"] | PipelineRunView["state"]): string {
  const colour = COLOURS[state];
  return colour === undefined ? state : context.paint(colour, state);
}

export function pipelineColumns({ clock }: Shown): Column<PipelineView>[] {
  return [
    { title: "PIPELINE", cell: toKey },
    { title: "TASKS", cell: ({ spec }) => String(tasksOf(spec).length), sort: ({ spec }) => tasksOf(spec).length },
    { title: "PARAMS", cell: ({ spec }) => plain((spec.params ?? []).map(({ name }) => name).join(",")) || "-" },
    { title: "UPDATED", cell: ({ updatedAt }) => humanTime(updatedAt, clock.now()), sort: ({ updatedAt }) => updatedAt },
  ];
}

/** `server`: where the webhooks' addresses begin. */
export function pipelineText(context: Shown, view: PipelineView, server: string): string {
  const { spec } = view;
  const triggers = (view.triggers ?? []).map(({ name, kind, words, next, hook, paused }) => {
    const head = `  ${plain(name)} (${kind}${paused === true ? ", paused" : ""}): ${plain(words)}\n`;
    const address = hook === undefined ? "" : `    ${server}${hook}\n`;
    return `${head}${address}${next === undefined ? "" : `    next ${next.map((at) => at.replace(/\.000Z$/, "Z")).join(", ") || "never"}\n`}`;
  });
  const params = (spec.params ?? []).map(({ name, type, value, required, description }) => {
    const more = [type ?? "text", required === true ? "required" : "", value === undefined ? "" : `default ${value}`].filter(
      (one) => one !== "",
    );
    return `  ${plain(name)} (${plain(more.join(", "))})${description === undefined ? "" : ` ${plain(description)}`}\n`;
  });
  const tasks = tasksOf(spec).map(({ task, stage, part }) => {
    const job = typeof task.job === "string" ? task.job : "inline";
    const after = task.needs === undefined ? "" : ` after ${task.needs.join(", ")}`;
    return `  ${part === "finally" ? "finally" : (stage?.name ?? "")}${stage === undefined && part === "main" ? "" : ": "}${plain(task.name)} (${plain(job)})${plain(after)}\n`;
  });
  return [
    detailText(context, [
      ["pipeline", toKey(view)],
      ["name", spec.name === undefined ? undefined : plain(spec.name)],
      ["description", spec.description === undefined ? undefined : plain(spec.description)],
      ["owner", spec.owner === undefined ? undefined : plain(spec.owner)],
      ["revision", view.revision],
      ["on failure", spec.onFailure],
      ["sequential", spec.sequential],
    ]),
    triggers.length === 0 ? "" : `${context.paint("bold", "triggers:")}\n${triggers.join("")}`,
    params.length === 0 ? "" : `${context.paint("bold", "params:")}\n${params.join("")}`,
    `${context.paint("bold", "tasks:")}\n${tasks.join("")}`,
  ].join("");
}

export function runColumns(context: Shown): Column<PipelineRunSummary>[] {
  const now = context.clock.now();
  return [
    { title: "RUN", cell: ({ id }) => id },
    { title: "PIPELINE", cell: ({ group, pipeline }) => `${group}/${pipeline}` },
    { title: "STATE", cell: ({ state }) => stateText(context, state) },
    { title: "TASKS", cell: ({ tasks }) => `${tasks.ended}/${tasks.total}` },
    { title: "BY", cell: ({ by }) => plain(by) },
    { title: "CREATED", cell: ({ createdAt }) => humanTime(createdAt, now), sort: ({ createdAt }) => createdAt },
    { title: "TOOK", cell: ({ startedAt, endedAt }) => took(startedAt, endedAt, now) },
    {
      title: "MESSAGE",
      cell: ({ message, waiting, position, sequence }) => {
        if (position !== undefined) return plain(`number ${position} in the queue${sequence === "" ? "" : ` of ${sequence}`}`);
        return plain(waiting.length > 0 ? `waits for a decision: ${waiting.join(", ")}` : (message ?? ""));
      },
    },
  ];
}

export async function runText(context: Shown, run: PipelineRunView): Promise<string> {
  const now = context.clock.now();
  const columns: Column<PipelineTaskView>[] = [
    { title: "STAGE", cell: ({ stage, part }) => plain(stage ?? (part === "finally" ? "finally" : "")) },
    { title: "TASK", cell: ({ name }) => plain(name) },
    { title: "STATE", cell: ({ state }) => stateText(context, state) },
    { title: "ATTEMPT", cell: ({ attempt }) => String(attempt) },
    { title: "NODES", cell: ({ instances = [] }) => plain(short(instances.map(({ node }) => node))) || "-" },
    { title: "TOOK", cell: ({ startedAt, endedAt }) => took(startedAt, endedAt, now) },
    {
      title: "MESSAGE",
      cell: ({ message, wait }) =>
        plain(
          [message ?? "", wait?.until === undefined ? "" : `until ${humanTime(wait.until, now)}`].filter((one) => one !== "").join("; "),
        ),
    },
  ];
  return [
    detailText(context, [
      ["run", run.id],
      ["pipeline", `${run.group}/${run.pipeline} (revision ${run.revision})`],
      ["state", `${stateText(context, run.state)}${run.attempt > 1 ? `, attempt ${run.attempt}` : ""}`],
      ["message", run.message === undefined ? undefined : plain(run.message)],
      ["by", plain(`${run.by} (${run.trigger})`)],
      ["created", `${run.createdAt} (${humanTime(run.createdAt, now)})`],
      ["took", took(run.startedAt, run.endedAt, now)],
      [
        "params",
        plain(
          Object.entries(run.params)
            .map(([name, value]) => `${name}=${value}`)
            .join(" "),
        ),
      ],
    ]),
    "\n",
    await tableText(context, columns, run.tasks),
  ].join("");
}

export async function dryRunText(context: Shown, result: PipelineDryRun): Promise<string> {
  type Task = PipelineDryRun["tasks"][number];
  const columns: Column<Task>[] = [
    { title: "STAGE", cell: ({ stage, part }) => plain(stage ?? (part === "finally" ? "finally" : "")) },
    { title: "TASK", cell: ({ name }) => plain(name) },
    { title: "JOB", cell: ({ job, revision }) => plain(`${job}@${revision}`) },
    { title: "AFTER", cell: ({ needs }) => plain(needs.join(",")) || "-" },
    { title: "NODES", cell: ({ nodes }) => plain(short(nodes)) || "-" },
    {
      title: "PARAMS",
      cell: ({ params }) =>
        plain(
          Object.entries(params)
            .map(([name, value]) => `${name}=${value}`)
            .join(" "),
        ) || "-",
    },
    { title: "NOTE", cell: ({ note }) => plain(note ?? "") },
  ];
  return `dry run, nothing was started\n${await tableText(context, columns, result.tasks)}`;
}

function took(startedAt: string | undefined, endedAt: string | undefined, nowMs: number): string {
  const start = startedAt === undefined ? undefined : fromIso(startedAt);
  if (start === undefined) return "-";
  return humanDuration(Math.max(0, (endedAt === undefined ? nowMs : (fromIso(endedAt) ?? nowMs)) - start));
}

function short(names: readonly string[]): string {
  return names.length <= 3 ? names.join(",") : `${names.slice(0, 3).join(",")} and ${names.length - 3} more`;
}
