/**
 * All of the agent's routine writes to etcd (end records, proc entries, presence) pass through here: one transaction in flight, everything
 * that has gathered meanwhile shares the next (≤ 128 operations), in order. A unit whose condition fails, or which etcd refuses, does not hold
 * up its neighbours. Etcd away: units wait, in order, and are tried again with back-off; an unknown outcome is simply tried again, because
 * every unit's condition makes a repetition harmless.
 */
import { type BackoffOptions, backoffMs } from "fleetcron-shared/base/backoff";
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, asError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import { type Compare, type Kv, MAX_TXN_BYTES, MAX_TXN_OPS, type Op } from "fleetcron-shared/store/kv";

/** A few operations that belong together under one condition. */
export type WriteUnit = {
  readonly if: readonly Compare[];
  readonly then: readonly Op[];
  /** Called once with whether the condition held and the operations were applied. */
  readonly onSettled: (applied: boolean) => void;
  /** Asked right before sending; false drops the unit. */
  readonly isWanted?: () => boolean;
  /** A lease of the operations is no more: the unit is dropped, and it is for the submitter to come again with another. */
  readonly onLeaseGone?: () => void;
};

type WriterDeps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Awaited before each transaction: resolves when there is nothing more urgent to do. */
  readonly calm: () => Promise<void>;
};

const RETRY: BackoffOptions = { firstMs: 50, maxMs: 1000 };

export class Writer {
  readonly #deps: WriterDeps;
  readonly #queue: WriteUnit[] = [];
  #busy: Promise<void> | undefined;
  #closed = false;
  #failures = 0;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  get depth(): number {
    return this.#queue.length;
  }

  submit(unit: WriteUnit): void {
    this.#queue.push(unit);
    this.#busy ??= this.#drain().finally(() => {
      this.#busy = undefined;
    });
  }

  /** Resolves when everything is written, or after `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    const stop = new AbortController();
    await Promise.race([this.#busy, this.#deps.clock.sleep(limitMs, stop.signal)]);
    stop.abort();
  }

  /** Stops after the transaction in flight; what is queued stays unwritten (the journal has it). */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#busy;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      await this.#deps.calm();
      const batch = this.#takeBatch();
      if (batch.length === 0) continue;
      try {
        await this.#send(batch);
        this.#failures = 0;
      } catch (thrown) {
        this.#queue.unshift(...batch);
        this.#failures++;
        if (this.#failures === 1) this.#deps.log.warn({ error: asError(thrown).message }, "cannot write to etcd, will try again");
        await this.#deps.clock.sleep(backoffMs(this.#deps, RETRY, this.#failures));
      }
    }
  }

  #takeBatch(): WriteUnit[] {
    const batch: WriteUnit[] = [];
    const keys = new Set<string>();
    let ops = 0;
    let compares = 0;
    let bytes = 0;
    for (;;) {
      const unit = this.#queue[0];
      if (unit === undefined) break;
      if (unit.isWanted && !unit.isWanted()) {
        this.#queue.shift();
        unit.onSettled(false);
        continue;
      }
      const size = unit.then.reduce((sum, op) => sum + op.key.length + (op.op === "put" ? op.value.length : 0), 0);
      const fits = ops + unit.then.length <= MAX_TXN_OPS && compares + unit.if.length <= MAX_TXN_OPS && bytes + size <= MAX_TXN_BYTES / 2;
      const touchesTwice = unit.then.some((op) => keys.has(op.key));
      if (batch.length > 0 && (!fits || touchesTwice)) break;
      this.#queue.shift();
      batch.push(unit);
      for (const op of unit.then) keys.add(op.key);
      ops += unit.then.length;
      compares += unit.if.length;
      bytes += size;
    }
    return batch;
  }

  /** Takes the units out of `batch` as they are settled. */
  async #send(batch: WriteUnit[]): Promise<void> {
    try {
      const { succeeded } = await this.#deps.kv.txn({ if: batch.flatMap((unit) => unit.if), then: batch.flatMap((unit) => unit.then) });
      if (succeeded || batch.length === 1) {
        for (const unit of batch.splice(0)) unit.onSettled(succeeded);
        return;
      }
    } catch (thrown) {
      if (isTransient(thrown)) throw thrown;
    }
    await this.#sendEach(batch);
  }

  /** Something in the batch does not hold or is refused: each unit for itself. One that is refused goes to the end of the queue. */
  async #sendEach(batch: WriteUnit[]): Promise<void> {
    for (let unit = batch[0]; unit !== undefined; unit = batch[0]) {
      const applied = await this.#sendOne(unit);
      batch.shift();
      if (applied === "refused") this.#queue.push(unit);
      else if (applied === "leaseGone") unit.onLeaseGone?.();
      else unit.onSettled(applied);
      if (applied === "refused") throw new AppError("etcd/refused", "etcd refused a write");
    }
  }

  async #sendOne(unit: WriteUnit): Promise<boolean | "refused" | "leaseGone"> {
    try {
      return (await this.#deps.kv.txn({ if: unit.if, then: unit.then })).succeeded;
    } catch (thrown) {
      if (isTransient(thrown)) throw thrown;
      if (isCode(thrown, "etcd/lease-gone") && unit.onLeaseGone !== undefined) return "leaseGone";
      this.#deps.log.error({ error: asError(thrown).message, keys: unit.then.map((op) => op.key) }, "etcd refuses a write");
      return "refused";
    }
  }
}

function isTransient(thrown: unknown): boolean {
  return isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/closed");
}
