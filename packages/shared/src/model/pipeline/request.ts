/** What goes to and comes from the engine through etcd: requests with their answers, and the ids of orders, by which records find their way back. */
import type { Issue } from "../../base/errors.ts";
import type { RunEvent } from "./step.ts";

type WithoutTime<T> = T extends unknown ? Omit<T, "nowMs"> : never;

/** The value of `requests/<id>`: deleted in the transaction that stores its effect. */
export type RunRequest = {
  readonly v: 1;
  readonly run: string;
  /** Where the run is kept; absent for facts, which only a run that is not over can use. */
  readonly pipeline?: { readonly group: string; readonly id: string };
  readonly event: WithoutTime<RunEvent>;
  /** Somebody waits for `answers/<id>`. */
  readonly ask?: true;
};

/** The value of `answers/<id>`: done, or refused with a code of the error table. */
export type RunAnswer = {
  readonly v: 1;
  readonly refused?: { readonly code: string; readonly message: string; readonly hint?: string; readonly issues?: readonly Issue[] };
};

/** The value of `unfinished/<run>`: a run that is not over, and where it is kept. */
export type Unfinished = { readonly v: 1; readonly group: string; readonly pipeline: string };

/** Which attempt of which task an order is for. */
export type TaskOrder = { readonly run: string; readonly task: string; readonly attempt: number; readonly execution: string };

const MARK = "run";

/** The id of the order that starts an execution of a task: made of what it is for, so the same start is the same order. */
export function taskOrderId({ run, task, attempt, execution }: TaskOrder): string {
  return [MARK, run, task, attempt, execution].join(":");
}

/** What an order is for; undefined for orders of others. */
export function parseTaskOrderId(order: string | undefined): TaskOrder | undefined {
  const [mark, run, task, attempt, execution, ...more] = order?.split(":") ?? [];
  if (mark !== MARK || run === undefined || task === undefined || execution === undefined || more.length > 0) return undefined;
  if (attempt === undefined || !/^[1-9]\d{0,8}$/.test(attempt)) return undefined;
  return { run, task, attempt: Number(attempt), execution };
}
