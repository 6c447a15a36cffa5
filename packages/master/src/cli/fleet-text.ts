/** Nodes, executions, records and processes as text for people. */
import { FAILURES } from "fleetcron-shared/model/failures";
import { NO_NODE } from "fleetcron-shared/model/missed";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import type { ExecutionDetail, ExecutionView, ProcView } from "../http/api-schema.ts";
import type { NodeDetail, NodeView, NodeWork } from "../http/node-schema.ts";
import type { Context } from "./context.ts";
import { humanBytes, humanDuration, humanTime, plainOutput } from "./human.ts";
import { type Column, detailText, tableText } from "./output.ts";
import { conditionRows, resultText } from "./result-text.ts";

type Shown = Pick<Context, "clock" | "paint">;

export function nodeColumns({ clock, paint }: Shown): Column<NodeView>[] {
  return [
    { title: "NODE", cell: (node) => node.id },
    { title: "STATE", cell: (node) => nodeState(node, paint) },
    { title: "RUNNING", cell: (node) => `${node.running}/${node.capacity}`, sort: (node) => node.running },
    { title: "QUEUED", cell: (node) => String(node.queued), sort: (node) => node.queued },
    { title: "HOST", cell: (node) => node.hostname },
    { title: "VERSION", cell: (node) => node.version },
    {
      title: "SINCE",
      cell: (node) => humanTime(node.onlineSince ?? node.startedAt, clock.now()),
      sort: (node) => node.onlineSince ?? node.startedAt,
    },
    { title: "LABELS", cell: (node) => labelText(node) },
  ];
}

export function nodeText(context: Shown, node: NodeDetail): string {
  const now = context.clock.now();
  return detailText(context, [
    ["node", node.id],
    ["state", nodeState(node, context.paint)],
    ["drained", node.drain === undefined ? undefined : `by ${node.drain.by}, ${humanTime(node.drain.at, now)}; ${leftText(context, node)}`],
    ["host", `${node.hostname}${node.addresses.length === 0 ? "" : ` (${node.addresses.join(", ")})`}`],
    ["running", `${node.running} of ${node.capacity}, ${node.queued} waiting`],
    ["agent", `${node.version}, pid ${node.pid}, started ${humanTime(node.startedAt, now)}`],
    ["registered", humanTime(node.createdAt, now)],
    ["revision", node.observedRevision === null ? undefined : `all changes up to ${node.observedRevision} are applied`],
    ["labels", labelText(node, true)],
    ...conditionRows(node.conditions, now),
  ]);
}

/** What a draining node still has to do. */
export function leftText({ clock }: Pick<Shown, "clock">, node: NodeDetail): string {
  if (!node.online) return "it is offline: what ran on it goes on, and nobody can tell how far it is";
  if (node.drained) return "it is free";
  const left = node.running + node.queued === 0 ? "its agent has not said yet what is left" : `${node.running} run, ${node.queued} wait`;
  return `${left}; ${node.freeAt === null ? "nobody can tell when it is free" : `it should be free ${humanTime(node.freeAt, clock.now())}`}`;
}

/** What runs on a node, after an empty line; nothing when there is nothing. */
export async function workTable(context: Shown, work: readonly NodeWork[]): Promise<string> {
  if (work.length === 0) return "";
  const now = context.clock.now();
  const columns: Column<NodeWork>[] = [
    { title: "EXECUTION", cell: (one) => one.execution },
    { title: "JOB", cell: (one) => `${one.group}/${one.job}` },
    { title: "TRY", cell: (one) => String(one.attempt) },
    { title: "STARTED", cell: (one) => humanTime(one.startedAt, now) },
    { title: "FREE", cell: (one) => (one.freeAt === null ? "-" : humanTime(one.freeAt, now)) },
  ];
  return `\n${await tableText(context, columns, work)}`;
}

export function recordColumns({ clock, paint }: Shown): Column<ExecutionRecord>[] {
  return [
    { title: "RECORD", cell: (record) => record.id },
    { title: "JOB", cell: (record) => `${record.jobGroup}/${record.jobId}` },
    { title: "NODE", cell: (record) => (record.host === undefined ? record.nodeId : `${record.nodeId} → ${record.host}`) },
    {
      title: "RESULT",
      cell: (record) => paint(colourOf(record), `${outcomeWord(record.outcome)}${record.result?.status === "failed" ? " (failed)" : ""}`),
    },
    { title: "TRY", cell: (record) => `${record.attempt}${record.finalAttempt ? "" : "+"}`, sort: (record) => record.attempt },
    { title: "DUE", cell: dueText, sort: (record) => record.dueAt ?? "" },
    {
      title: "LATE",
      cell: (record) => (record.skewMs === undefined ? "-" : humanDuration(record.skewMs)),
      sort: (record) => record.skewMs ?? -1,
    },
    {
      title: "TOOK",
      cell: (record) => (record.durationMs === undefined ? "-" : humanDuration(record.durationMs)),
      sort: (record) => record.durationMs ?? -1,
    },
    { title: "ENDED", cell: (record) => humanTime(record.endTime, clock.now()), sort: (record) => record.endTime },
  ];
}

export function recordText(context: Shown, record: ExecutionRecord): string {
  const now = context.clock.now();
  const { output } = record;
  const head = detailText(context, [
    ["record", record.id],
    ["job", `${record.jobGroup}/${record.jobId} (revision ${record.jobRevision})`],
    ["execution", record.execution],
    ["node", record.nodeId === NO_NODE ? "none" : `${record.nodeId} (${record.hostname})`],
    ["host", record.host],
    ["part of", record.partOf],
    [
      "result",
      `${context.paint(colourOf(record), outcomeWord(record.outcome))}${resultDetail(record)}${record.provisional === true ? (record.outcome.type === "missed" ? " (until a node reports it)" : " (provisional: the node is gone)") : ""}`,
    ],
    ["attempt", `${record.attempt}${record.finalAttempt ? "" : ", another one follows"}`],
    [
      "tick",
      record.dueAt === undefined ? undefined : `${dueText(record)}${record.ruleId === undefined ? "" : ` of rule ${record.ruleId}`}`,
    ],
    ["order", record.orderId],
    ["began", record.beginTime === undefined ? undefined : `${record.beginTime} (${humanTime(record.beginTime, now)})`],
    ["late by", record.skewMs === undefined ? undefined : humanDuration(record.skewMs)],
    ["ended", `${record.endTime} (${humanTime(record.endTime, now)})`],
    ["took", record.durationMs === undefined ? undefined : humanDuration(record.durationMs)],
    ["process", record.pid === undefined ? undefined : `${record.pid}${record.user === undefined ? "" : ` as ${record.user}`}`],
    [
      "used",
      record.usage && `${humanDuration(record.usage.cpuMs)} of cpu time, ${humanBytes(record.usage.maxRssKiB * 1024)} of memory at most`,
    ],
    ["fence", record.fence],
    ["command", record.command],
    ["log", record.logRef && `all of it: fleetcron run logs ${record.execution} --attempt ${record.attempt}`],
  ]);
  return head + resultText(context, record.result) + outputText(context, output);
}

/** The tail of what the command printed, as it was but for what a terminal would obey. */
export function outputText({ paint }: Pick<Context, "paint">, output: ExecutionRecord["output"]): string {
  if (output === undefined || output.totalBytes === 0) return "";
  const cut = output.cutBytes === 0 ? "" : `${paint("dim", `… ${humanBytes(output.cutBytes)} before this are left out …`)}\n`;
  return `\n${cut}${plainOutput(output.tail)}${output.tail.endsWith("\n") ? "" : "\n"}`;
}

export function executionColumns({ clock, paint }: Shown): Column<ExecutionView>[] {
  return [
    { title: "EXECUTION", cell: (run) => run.id },
    { title: "JOB", cell: (run) => `${run.group}/${run.job}` },
    { title: "NODE", cell: (run) => run.node },
    { title: "STATE", cell: (run) => executionState(run, paint) },
    { title: "TRY", cell: (run) => `${run.attempt}${run.finalAttempt === false ? "+" : ""}`, sort: (run) => run.attempt },
    { title: "PID", cell: (run) => pidText(run.pid), sort: (run) => run.pid ?? 0 },
    { title: "STARTED", cell: (run) => humanTime(run.startedAt, clock.now()), sort: (run) => run.startedAt ?? "" },
    { title: "ENDED", cell: (run) => humanTime(run.endedAt, clock.now()), sort: (run) => run.endedAt ?? "~" },
  ];
}

export function executionText(context: Shown, run: ExecutionDetail): string {
  const now = context.clock.now();
  const head = detailText(context, [
    ["execution", run.id],
    ["job", `${run.group}/${run.job}`],
    ["node", run.node],
    ["state", executionState(run, context.paint)],
    ["process", run.pid === 0 ? undefined : run.pid],
    ["tick", run.dueAt === undefined ? undefined : `${run.dueAt}${run.ruleId === undefined ? "" : ` of rule ${run.ruleId}`}`],
    ["order", run.orderId],
    ["started", run.startedAt === undefined ? undefined : `${run.startedAt} (${humanTime(run.startedAt, now)})`],
  ]);
  return [head, ...run.records.map((record) => recordText(context, record))].join("\n");
}

export function procColumns({ clock }: Shown): Column<ProcView>[] {
  return [
    { title: "NODE", cell: (proc) => proc.node },
    { title: "PID", cell: (proc) => pidText(proc.pid), sort: (proc) => proc.pid },
    { title: "JOB", cell: (proc) => `${proc.group}/${proc.job}` },
    { title: "EXECUTION", cell: (proc) => proc.execution },
    { title: "TRY", cell: (proc) => String(proc.attempt), sort: (proc) => proc.attempt },
    { title: "STARTED", cell: (proc) => humanTime(proc.startedAt, clock.now()), sort: (proc) => proc.startedAt },
    { title: "DUE", cell: (proc) => proc.dueAt ?? "-" },
  ];
}

function nodeState(node: NodeView, paint: Context["paint"]): string {
  if (!node.online) return paint("red", node.draining ? "offline, draining" : "offline");
  return node.draining ? paint("yellow", node.drained ? "drained" : "draining") : paint("green", "online");
}

function labelText(node: NodeView, all = false): string {
  const shown = Object.entries(node.labels).filter(([name]) => all || !name.startsWith("fleetcron.io/"));
  return shown.length === 0 ? "-" : shown.map(([name, value]) => `${name}=${value}`).join(all ? ", " : ",");
}

function colourOf(record: ExecutionRecord): "green" | "yellow" | "red" {
  return record.success ? "green" : record.outcome.type === "skipped" ? "yellow" : "red";
}

/** What runs elsewhere has none here. */
function pidText(pid: number | undefined): string {
  return pid === undefined || pid === 0 ? "-" : String(pid);
}

function dueText(record: ExecutionRecord): string {
  if (record.dueAt === undefined) return record.orderId === undefined ? "-" : "by order";
  return (record.dueCount ?? 1) > 1 ? `${record.dueAt} … ${record.dueUntil} (${record.dueCount} ticks)` : record.dueAt;
}

function resultDetail({ outcome }: ExecutionRecord): string {
  switch (outcome.type) {
    case "killed":
      return ` by ${outcome.by}: ${outcome.reason}`;
    case "timeout":
      return ` after ${humanDuration(outcome.afterMs)}`;
    case "spawnFailed":
    case "unreachable":
      return `: ${outcome.error}`;
    case "failed":
      return `: ${outcome.error}\n${FAILURES[outcome.code].todo}`;
    case "signal":
      return outcome.sender === undefined ? "" : ` (from ${outcome.sender})`;
    case "skipped":
      return outcome.detail === undefined ? "" : `: ${outcome.detail}`;
    default:
      return "";
  }
}

function executionState(run: ExecutionView, paint: Context["paint"]): string {
  if (run.state === "running") return paint("green", "running");
  if (run.finalAttempt === false) return paint("yellow", `${run.outcome ?? "ended"}, waits to retry`);
  return paint(run.success === true ? "green" : "red", run.outcome ?? "ended");
}
