/** What people and the outside world say about a task: approve or deny, confirm or reject, and the status of a task that is reported from outside. */
import { AppError } from "../../base/errors.ts";
import { type Draft, liveInstances, moveTask, patchTask, planTaskOf, setInstance } from "./draft.ts";
import { type Decision, isRunEnd, isTaskEnd, taskOf } from "./run-document.ts";
import { attemptEnded, endTask, toScheduling } from "./settle.ts";

export type DecideEvent = {
  readonly type: "decide";
  readonly kind: "audit" | "confirm";
  readonly task: string;
  readonly verdict: "yes" | "no";
  readonly by: string;
  readonly comment: string;
};

export const REPORTED_STATES = ["active", "succeeded", "failed", "cancelled"] as const;

export type StatusEvent = {
  readonly type: "status";
  readonly task: string;
  /** Whose token it was; undefined: an operator's word, about the present attempt. */
  readonly attempt: number | undefined;
  readonly state: (typeof REPORTED_STATES)[number];
  readonly message: string;
};

const WORDS = { audit: { yes: "approved", no: "denied" }, confirm: { yes: "confirmed", no: "rejected" } } as const;

/** The same decision again changes nothing; the opposite one is refused. */
export function decide(draft: Draft, event: DecideEvent): boolean {
  const { run } = draft;
  const { kind, verdict, by, comment } = event;
  const held = taskOf(run, event.task);
  const task = planTaskOf(draft.plan, event.task);
  const who = kind === "audit" ? task.audit?.auditors : task.confirm?.checkers;
  if (who === undefined) throw notNow(`task ${task.name} asks nobody to ${kind === "audit" ? "approve" : "confirm"} it`);
  if (!who.includes(by))
    throw new AppError("auth/denied", `${by} may not decide about task ${task.name}`, { hint: `these may: ${who.join(", ")}` });
  if (verdict === "no" && comment.trim() === "") {
    throw new AppError("input/invalid", `a comment is needed to ${kind === "audit" ? "deny" : "reject"} task ${task.name}`, {
      hint: "say why",
    });
  }
  const before = held[kind];
  if (before?.verdict === verdict) return false;
  if (before !== undefined)
    throw new AppError("pipeline/decided", `task ${task.name} was ${WORDS[kind][before.verdict]} by ${before.by} at ${before.at}`);
  if (held.state !== (kind === "audit" ? "waitingAudit" : "waitingConfirm")) {
    throw notNow(`task ${task.name} is ${held.state} and does not wait to be ${WORDS[kind][verdict]}`);
  }
  const decision: Decision = { verdict, by, at: draft.now, ...(comment === "" ? {} : { comment }) };
  patchTask(draft, task.name, { [kind]: decision });
  const told = `${WORDS[kind][verdict]} by ${by}${comment === "" ? "" : `: ${comment}`}`;
  if (verdict === "no") endTask(draft, task, "failed", told);
  else if (kind === "audit") toScheduling(draft, task);
  else endTask(draft, task, "succeeded", told);
  return true;
}

/** Stages do not go backwards: what comes late or again changes nothing, another end than the first is refused. */
export function setStatus(draft: Draft, { task: name, attempt, state, message }: StatusEvent): boolean {
  const { run } = draft;
  const held = taskOf(run, name);
  const task = planTaskOf(draft.plan, name);
  if (attempt !== undefined && task.manualStatus !== true) throw notNow(`the status of task ${name} is not reported from outside`);
  if (attempt !== undefined && attempt !== held.attempt)
    throw notNow(`attempt ${attempt} of task ${name} is over; it is at attempt ${held.attempt}`);
  if (isTaskEnd(held.state) || held.state === "waitingConfirm") {
    if (state === "active" || state === (held.result ?? held.state)) return false;
    throw new AppError("pipeline/decided", `task ${name} has ended already: ${held.result ?? held.state}`);
  }
  if (isRunEnd(run.state) || held.state === "pending" || held.state === "waitingAudit")
    throw notNow(`task ${name} has not begun; it is ${held.state}`);
  const words = message === "" ? `reported ${state}` : message;
  if (state === "active") {
    if (held.state === "creating")
      moveTask(draft, name, "active", { message: words, ...(held.wait === undefined ? {} : { wait: held.wait }) });
    else if (held.state === "active" && held.message !== words) patchTask(draft, name, { message: words });
    else return false;
    return true;
  }
  // Whoever reports the end answers for it: what still runs of the task is ended, and its records are filed only.
  for (const { execution, node, state: was } of liveInstances(held)) {
    setInstance(draft, name, execution, state);
    if (attempt === undefined && was !== "planned")
      draft.effects.push({ type: "kill", task: name, attempt: held.attempt, node, execution, reason: words });
  }
  if (held.stopping !== undefined) endTask(draft, task, held.stopping.to, held.stopping.message);
  else if (state === "cancelled") endTask(draft, task, "cancelled", words);
  else if (attempt === undefined) endTask(draft, task, state, words);
  else attemptEnded(draft, task, state, words);
  return true;
}

function notNow(message: string): AppError {
  return new AppError("pipeline/not-now", message);
}
