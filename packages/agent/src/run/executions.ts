/** The executions that this agent has on hand: who runs what, how many, and the one place where their state changes. */
import type { Job } from "fleetcron-shared/model/job";
import type { JobKey } from "fleetcron-shared/model/job-spec";
import type { PassPoint } from "../spawner/kill-points.ts";
import {
  EXECUTION_EDGES,
  type Execution,
  type ExecutionState,
  type ExecutionTrace,
  type HeldLock,
  type KillRequest,
  type Origin,
} from "./execution.ts";
import type { Journal } from "./journal.ts";

export class ActiveExecution implements Execution {
  readonly id: string;
  readonly job: Job;
  readonly origin: Origin;
  state: ExecutionState = "claimed";
  attempt: number;
  lock: HeldLock | undefined;
  fence: number | undefined;
  beginMs: number | undefined;
  pid: number | undefined;
  doneHosts: readonly string[] = [];
  /** Of a wait for the next attempt: until when. */
  waitUntilMs: number | undefined;
  /** First request wins. */
  killRequest: KillRequest | undefined;
  /** Ends the process or the wait that the execution is in; set by whoever runs it. */
  onKill: ((request: KillRequest) => void) | undefined;
  /** Looks again whether the execution is still wanted; set while it waits. */
  onPlanChanged: (() => void) | undefined;
  /** Resolves when the execution has ended and its last record is in the outbox. */
  readonly ended: Promise<void>;
  readonly #resolveEnded: () => void;

  constructor(id: string, job: Job, origin: Origin, attempt: number) {
    this.id = id;
    this.job = job;
    this.origin = origin;
    this.attempt = attempt;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolveEnded = resolve;
  }

  kill(request: KillRequest): void {
    if (this.killRequest !== undefined || this.state === "ended") return;
    this.killRequest = request;
    this.onKill?.(request);
  }

  /** A wait of this execution: ends early when it is killed, or when `isCurrent` no longer holds after a change of the plan. */
  untilUnwanted(isCurrent: (execution: ActiveExecution) => boolean): Wait {
    const stop = new AbortController();
    const look = () => {
      if (this.killRequest !== undefined || !isCurrent(this)) stop.abort();
    };
    this.onKill = look;
    this.onPlanChanged = look;
    look();
    return {
      signal: stop.signal,
      done: () => {
        this.onKill = undefined;
        this.onPlanChanged = undefined;
      },
    };
  }

  finish(): void {
    this.#resolveEnded();
  }
}

/** No session has it: sessions count from 0. */
const NO_EPOCH = -1;

/** Call `done` when the wait is over. */
export type Wait = { readonly signal: AbortSignal; done(): void };

export class Executions {
  readonly #byId = new Map<string, ActiveExecution>();
  readonly #byJob = new Map<JobKey, Set<ActiveExecution>>();
  readonly #deps: { journal: Journal; bootId: string; passPoint: PassPoint };
  /** Called when their number has changed. */
  onChanged: () => void = () => {};

  constructor(deps: { journal: Journal; bootId: string; passPoint: PassPoint }) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): ActiveExecution | undefined {
    return this.#byId.get(id);
  }

  /** Whether it is on hand, or was given up for another try under the same id. */
  isOpen(id: string): boolean {
    return this.#byId.has(id) || this.#deps.journal.hasExecution(id);
  }

  all(): ActiveExecution[] {
    return [...this.#byId.values()];
  }

  of(jobKey: JobKey): readonly ActiveExecution[] {
    return [...(this.#byJob.get(jobKey) ?? [])];
  }

  countOf(jobKey: JobKey): number {
    return this.#byJob.get(jobKey)?.size ?? 0;
  }

  /** Registers an execution in state `claimed` and notes it in the journal (not committed yet). */
  begin(id: string, job: Job, origin: Origin, attempt = 1): ActiveExecution {
    const execution = this.#add(new ActiveExecution(id, job, origin, attempt));
    this.#deps.journal.beginExecution(id, job.source, this.#trace(execution));
    this.#deps.passPoint("begun");
    return execution;
  }

  /** Notes what has to wait before it is decided on, for the next agent process; `unshelve` takes it back. */
  note(id: string, job: Job, origin: Origin): void {
    this.#deps.journal.beginExecution(id, job.source, this.#trace(new ActiveExecution(id, job, origin, 1)));
  }

  /** Registers an execution that an earlier agent process has begun, in the state that it was in. `lock`: of no session until it is carried over. */
  restore(id: string, job: Job, trace: ExecutionTrace): ActiveExecution {
    const execution = new ActiveExecution(id, job, trace.origin, trace.attempt);
    execution.state = trace.state;
    execution.lock = trace.lock === undefined ? undefined : { ...trace.lock, epoch: NO_EPOCH };
    execution.fence = trace.fence;
    execution.beginMs = trace.beginMs;
    execution.pid = trace.pid;
    execution.waitUntilMs = trace.waitUntilMs;
    execution.doneHosts = trace.doneHosts ?? [];
    return this.#add(execution);
  }

  /** The process of a running execution has begun: the journal knows it from now on. */
  begun(execution: ActiveExecution): void {
    this.#deps.journal.putExecution(execution.id, this.#trace(execution));
  }

  /** Executions that wait look again whether they are still wanted. */
  planChanged(): void {
    for (const execution of this.#byId.values()) execution.onPlanChanged?.();
  }

  /** Gives up an execution before it began, for another try under the same id: the journal keeps it, because its tick may be ours already. */
  shelve(execution: ActiveExecution): void {
    if (execution.state !== "claimed") throw new Error(`execution ${execution.id} is ${execution.state} and cannot be given up`);
    execution.state = "ended";
    this.#forget(execution);
  }

  /** The tick of a shelved execution has its verdict. */
  unshelve(id: string): void {
    if (!this.#byId.has(id)) this.#deps.journal.removeExecution(id);
  }

  /** Moves an execution along an edge of EXECUTION_EDGES; the journal follows. */
  move(execution: ActiveExecution, to: ExecutionState): void {
    if (!EXECUTION_EDGES[execution.state].includes(to))
      throw new Error(`execution ${execution.id}: no edge from ${execution.state} to ${to}`);
    execution.state = to;
    if (to !== "ended") {
      this.#deps.journal.putExecution(execution.id, this.#trace(execution));
      return;
    }
    this.#deps.journal.removeExecution(execution.id);
    this.#forget(execution);
  }

  #add(execution: ActiveExecution): ActiveExecution {
    this.#byId.set(execution.id, execution);
    const ofJob = this.#byJob.get(execution.job.key);
    if (ofJob === undefined) this.#byJob.set(execution.job.key, new Set([execution]));
    else ofJob.add(execution);
    this.onChanged();
    return execution;
  }

  #forget(execution: ActiveExecution): void {
    this.#byId.delete(execution.id);
    const ofJob = this.#byJob.get(execution.job.key);
    ofJob?.delete(execution);
    if (ofJob?.size === 0) this.#byJob.delete(execution.job.key);
    this.onChanged();
    execution.finish();
  }

  #trace(execution: ActiveExecution): ExecutionTrace {
    const { state, origin, attempt, fence, lock, beginMs, pid, waitUntilMs } = execution;
    const { bootId } = this.#deps;
    const doneHosts = execution.doneHosts.length === 0 ? undefined : execution.doneHosts;
    const held = lock && { key: lock.key, fence: lock.fence };
    return { state, origin, attempt, fence, lock: held, beginMs, pid, waitUntilMs, doneHosts, bootId };
  }
}
