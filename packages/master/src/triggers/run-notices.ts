/** What is told of a run: its end, tasks that have failed, decisions that somebody is asked for. Pure; the engine stores it with the change itself. */
import { fromIso } from "fleetcron-shared/base/clock";
import type { Failing } from "fleetcron-shared/model/facts";
import type { Notice, NoticeData } from "fleetcron-shared/model/notice";
import type { NotifyEvent, NotifyRule } from "fleetcron-shared/model/notify-rules";
import { isRunEnd, type RunDocument, type TaskState } from "fleetcron-shared/model/pipeline/run-document";
import { noticesOf } from "../notify/notices.ts";
import { cut, rough, times } from "../notify/words.ts";
import type { RunChange } from "../pipelines/advance-txn.ts";

const MAX_TITLE = 300;
const MAX_MESSAGE = 500;
/** Names of tasks in a title. */
const MAX_NAMES = 5;

export type RunNotices = { readonly notices: readonly Notice[]; readonly failing: Failing | undefined };

/** `failing`: the pipeline's failures in a row, before and after. At most three notices, however many tasks have changed. */
export function noticesOfChange(rules: readonly NotifyRule[], change: RunChange, before: Failing | undefined, at: string): RunNotices {
  const waiting = tasksThatCameTo(change, ["waitingAudit", "waitingConfirm"]);
  const broken = tasksThatCameTo(change, ["failed"]).filter((name) => taskOf(change, name)?.ignoreFailed !== true);
  const notices = [aboutTasks(rules, change, "waiting", waiting, at), aboutTasks(rules, change, "taskFailed", broken, at)];
  const { after } = change;
  if (!isRunEnd(after.state) || isRunEnd(change.before.state)) return { notices: present(notices), failing: before };
  const result = after.state === "succeeded" ? "success" : after.state === "failed" ? "finalFailure" : "none";
  const happening = { also: after.state === "cancelled" ? (["cancelled"] as const) : [], result } as const;
  const { notice, failing } = noticesOf(rules, happening, before, {
    id: `${after.id}.${after.attempt}`,
    at,
    subject: subjectOf(change),
    data: dataOf(after),
    title: (events) => cut(`${after.group}/${after.pipeline} ${endWords(after, events, before)}`, MAX_TITLE),
  });
  return { notices: present([...notices, notice]), failing };
}

function aboutTasks(
  rules: readonly NotifyRule[],
  change: RunChange,
  event: "waiting" | "taskFailed",
  names: readonly string[],
  at: string,
): Notice | undefined {
  const [first] = names;
  const { after } = change;
  const task = first === undefined ? undefined : after.tasks[first];
  if (first === undefined || task === undefined) return undefined;
  // Approval and confirmation of one task are two things to be told, however close to each other.
  const what = event === "taskFailed" ? event : task.state === "waitingAudit" ? "audit" : "confirm";
  const words = names.length === 1 ? oneTask(change, event, first) : manyTasks(event, names);
  const { notice } = noticesOf(rules, { also: [event], result: "none" }, undefined, {
    id: `${after.id}.${after.attempt}.${what}.${first}.${task.attempt}`,
    at,
    subject: { ...subjectOf(change), ...(names.length === 1 ? { task: first } : {}) },
    data: {
      ...dataOf(after),
      task: names.slice(0, MAX_NAMES).join(", "),
      ...(task.message === undefined ? {} : { message: cut(task.message, MAX_MESSAGE) }),
    },
    title: () => cut(`${after.group}/${after.pipeline} ${words}`, MAX_TITLE),
  });
  return notice;
}

function oneTask(change: RunChange, event: "waiting" | "taskFailed", name: string): string {
  const task = change.after.tasks[name];
  if (event === "taskFailed") return `failed at task ${name}: ${task?.message ?? "it did not succeed"}`;
  const planned = taskOf(change, name);
  const who = task?.state === "waitingAudit" ? planned?.audit?.auditors : planned?.confirm?.checkers;
  const until = task?.wait?.until === undefined ? "" : `, until ${task.wait.until}`;
  return `waits for ${(who ?? []).join(" or ")} to ${task?.state === "waitingAudit" ? "approve" : "confirm"} task ${name}${until}`;
}

function manyTasks(event: "waiting" | "taskFailed", names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : "";
  const all = `${names.slice(0, MAX_NAMES).join(", ")}${more}`;
  return event === "taskFailed" ? `failed at ${names.length} tasks: ${all}` : `waits for decisions about ${names.length} tasks: ${all}`;
}

function endWords(run: RunDocument, events: readonly NotifyEvent[], failing: Failing | undefined): string {
  const why = run.message === undefined ? "" : `: ${run.message}`;
  if (run.state === "cancelled") return `was cancelled${why}`;
  if (run.state === "succeeded")
    return events[0] === "recovery" ? `works again, after ${times(failing?.final ?? 1, "failure")}` : `succeeded in ${rough(tookMs(run))}`;
  const streak = (failing?.final ?? 0) + 1;
  return `failed${why}${streak > 1 ? `; ${times(streak, "failure")} in a row` : ""}`;
}

/** Whether an effect has brought the task there, and it still is there. */
function tasksThatCameTo({ effects, after }: RunChange, states: readonly TaskState[]): string[] {
  const names = effects.flatMap((effect) => {
    const now = effect.type === "task" ? after.tasks[effect.task]?.state : undefined;
    return effect.type === "task" && effect.to === now && states.includes(effect.to) ? [effect.task] : [];
  });
  return [...new Set(names)];
}

function taskOf({ plan }: RunChange, name: string) {
  return plan.tasks.find((task) => task.name === name);
}

function subjectOf({ plan, after }: RunChange) {
  return { kind: "pipeline", group: after.group, id: after.pipeline, name: plan.name, run: after.id } as const;
}

function dataOf(run: RunDocument): NoticeData {
  const { id, state, by, trigger, attempt, message, startedAt, endedAt } = run;
  return {
    run: id,
    state,
    by,
    trigger,
    attempt,
    ...(message === undefined ? {} : { message: cut(message, MAX_MESSAGE) }),
    ...(startedAt === undefined ? {} : { beginTime: startedAt }),
    ...(endedAt === undefined ? {} : { endTime: endedAt, durationMs: tookMs(run) }),
  };
}

function tookMs({ startedAt, endedAt }: RunDocument): number {
  return Math.max(0, (fromIso(endedAt ?? "") ?? 0) - (fromIso(startedAt ?? endedAt ?? "") ?? 0));
}

function present(notices: readonly (Notice | undefined)[]): Notice[] {
  return notices.filter((notice) => notice !== undefined);
}
