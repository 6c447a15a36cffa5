/**
 * What an `alone` execution may have in etcd without knowing it: a write whose answer was lost has perhaps given it the lock, or the place next in line. If it
 * ends without having learnt of that, nobody would give it back as long as this agent's session lives, and its job would stand still. So whoever misses an answer
 * says so here, and what still names the execution after its end is given back. Etcd away: looked at again when it answers. The agent dies: it goes with the session.
 */
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Lock, LockNext } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { type Kv, sameIncarnation } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Executions } from "../run/executions.ts";
import { isNotNow } from "./not-now.ts";

const LOOK_MS = 1000;
/** So long after its answer was missed a write may still arrive: gRPC has given up its connection by then. */
const LATE_MS = 15_000;

type Deps = {
  readonly kv: Pick<Kv, "txn">;
  readonly clock: Clock;
  readonly keys: Pick<Keys, "lock" | "lockNext">;
  readonly log: Log;
  readonly executions: Pick<Executions, "get" | "isOpen">;
  /** The agent stops. */
  readonly stopping: AbortSignal;
};
/** `isOver`: the execution had ended when it was looked at last. */
type Doubt = { readonly job: Pick<Job, "group" | "id">; readonly untilMono: MonoMs; isOver: boolean };

export class Leftovers {
  readonly #deps: Deps;
  /** By execution. */
  readonly #doubts = new Map<string, Doubt>();
  #isLooking = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** A write for this execution has failed with `thrown`: when nobody knows whether it was applied, it is followed up. */
  missed(thrown: unknown, execution: string, job: Job): void {
    if (job.kind === "alone" && isCode(thrown, "etcd/unknown-outcome")) this.follow(execution, job);
  }

  /** What the execution has is given back once it has ended, unless its end does so itself. */
  follow(execution: string, job: Job): void {
    this.#doubts.set(execution, { job, untilMono: this.#deps.clock.mono() + LATE_MS, isOver: false });
    if (!this.#isLooking) void this.#look();
  }

  async #look(): Promise<void> {
    const { clock, log, stopping } = this.#deps;
    this.#isLooking = true;
    while (this.#doubts.size > 0 && !stopping.aborted) {
      await clock.sleep(LOOK_MS, stopping);
      try {
        for (const [execution, doubt] of this.#doubts) await this.#settle(execution, doubt);
      } catch (thrown) {
        if (isCode(thrown, "etcd/closed")) break;
        if (!isNotNow(thrown)) log.error({ error: asError(thrown).message }, "cannot give back what an execution may have left");
      }
    }
    this.#isLooking = false;
  }

  async #settle(execution: string, doubt: Doubt): Promise<void> {
    const { kv, keys, clock, executions, log } = this.#deps;
    const { job, untilMono, isOver } = doubt;
    // Known to be held: it is given back with the last record.
    if (executions.get(execution)?.lock !== undefined) return void this.#doubts.delete(execution);
    doubt.isOver = !executions.isOpen(execution);
    // Had it run and ended just now, its last record would be on the way.
    if (!doubt.isOver || !isOver) return;
    const isLate = clock.mono() >= untilMono;
    const wanted = [keys.lock(job.group, job.id), keys.lockNext(job.group, job.id)];
    const { results } = await kv.txn({ then: wanted.map((key) => ({ op: "get", key })) });
    for (const result of results) {
      const found = result.op === "get" ? result.kv : undefined;
      if (found === undefined || tryDecode<Lock | LockNext>(found.key, found.value)?.execution !== execution) continue;
      await kv.txn({ if: [sameIncarnation(found.key, found.createRevision)], then: [{ op: "delete", key: found.key }] });
      log.info({ execution, key: found.key }, "given back: an execution that did not run had it, and the answer was lost");
    }
    if (isLate) this.#doubts.delete(execution);
  }
}
