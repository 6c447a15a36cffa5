/**
 * `proc` keys: what runs on this node now, under the session's lease. Short executions never get one (`procThreshold`).
 * A new session incarnation registers everything again; etcd away: entries appear once it is back, if the process still runs.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { toIso } from "fleetcron-shared/base/clock";
import type { Proc } from "fleetcron-shared/model/facts";
import type { Session } from "fleetcron-shared/store/session";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Origin } from "../run/execution.ts";
import type { Writer } from "./writer.ts";

/** What a proc key says, before it has its key. */
export type ProcFacts = Omit<Proc, "v" | "startedAt"> & { readonly group: string; readonly job: string; readonly startedAtMs: number };

/** What the execution is for, as proc keys say it. */
export function originFacts(origin: Origin): Pick<Proc, "ruleId" | "dueAt" | "orderId"> {
  return {
    ...(origin.ruleId === undefined ? {} : { ruleId: origin.ruleId }),
    ...(origin.dueMs === undefined ? {} : { dueAt: toIso(origin.dueMs) }),
    ...(origin.type === "order" ? { orderId: origin.orderId } : {}),
  };
}

export class Procs {
  readonly #deps: { clock: Clock; keys: Keys; session: Session; writer: Writer };
  readonly #nodeId: string;
  readonly #thresholdMs: number;
  readonly #shown = new Map<string, { readonly key: string; readonly value: string }>();
  readonly #waiting = new Map<string, () => void>();
  /** Called with each start, however short. */
  onStarted: (facts: ProcFacts) => void = () => {};

  constructor(deps: { clock: Clock; keys: Keys; session: Session; writer: Writer }, options: { nodeId: string; thresholdMs: number }) {
    this.#deps = deps;
    this.#nodeId = options.nodeId;
    this.#thresholdMs = options.thresholdMs;
    deps.session.onChange((incarnation) => {
      if (incarnation !== undefined) for (const [execution, entry] of this.#shown) this.#put(execution, entry);
    });
  }

  /** Somebody else's process began this execution, and it waits: shown, so that nobody takes it for lost. */
  waits(execution: { id: string; job: { group: string; id: string }; attempt: number; origin: Origin }): void {
    const { id, job, attempt, origin } = execution;
    const now = toIso(this.#deps.clock.now());
    const value: Proc = { v: 1, execution: id, attempt, pid: 0, startedAt: now, ...originFacts(origin) };
    this.#show(id, { key: this.#deps.keys.proc(this.#nodeId, job.group, job.id, id), value: encode(value) });
  }

  /** The wait is over. */
  waited(execution: string): void {
    const key = this.ended(execution);
    if (key === undefined) return;
    this.#deps.writer.submit({ if: [], then: [{ op: "delete", key }], onSettled: () => {} });
  }

  /** A process has started, or (pid 0) a session, which is known by its execution. */
  started(facts: ProcFacts): void {
    const { execution, group, job, startedAtMs, ...rest } = facts;
    this.onStarted(facts);
    const show = () => {
      this.#waiting.delete(execution);
      const value: Proc = { v: 1, execution, ...rest, startedAt: toIso(startedAtMs) };
      this.#show(execution, {
        key: this.#deps.keys.proc(this.#nodeId, group, job, facts.pid === 0 ? execution : facts.pid),
        value: encode(value),
      });
    };
    // One that was taken over has lived for a while.
    const leftMs = Math.min(this.#thresholdMs, this.#thresholdMs - (this.#deps.clock.now() - startedAtMs));
    if (leftMs <= 0) show();
    else this.#waiting.set(execution, this.#deps.clock.after(leftMs, show));
  }

  /** The execution's process has ended; the key that must vanish with its record, if it was ever shown. */
  ended(execution: string): string | undefined {
    this.#waiting.get(execution)?.();
    this.#waiting.delete(execution);
    const entry = this.#shown.get(execution);
    this.#shown.delete(execution);
    return entry?.key;
  }

  #show(execution: string, entry: { key: string; value: string }): void {
    this.#shown.set(execution, entry);
    this.#put(execution, entry);
  }

  #put(execution: string, entry: { key: string; value: string }): void {
    const lease = this.#deps.session.current()?.lease;
    if (lease === undefined) return;
    this.#deps.writer.submit({
      if: [],
      then: [{ op: "put", key: entry.key, value: entry.value, lease }],
      isWanted: () => this.#shown.get(execution) === entry && this.#deps.session.current()?.lease === lease,
      onSettled: () => {},
      onLeaseGone: () => {},
    });
  }
}
