/**
 * Records on their way to the master: first into the journal, then into etcd's inbox, create-if-absent, so that a repetition is harmless.
 * Etcd away for hours: they wait in the journal. A record with a `claim` is a verdict on a tick that any node could still take: it is
 * delivered only together with that claim, or under the claim that its execution has already, and dropped when somebody else has it.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Claim, LockLast } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { absent, type Kv, sameIncarnation } from "fleetcron-shared/store/kv";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { ClaimLeases } from "./claim-leases.ts";
import type { Writer } from "./writer.ts";

export type OutboxEntry = {
  readonly record: ExecutionRecord;
  /** Removed together with the delivery. */
  readonly procKey?: string | undefined;
  /** Given back together with the delivery, if it is still ours. */
  readonly lock?: { readonly key: string; readonly fence: number } | undefined;
  readonly claim?: { readonly key: string; readonly windowMs: number; readonly verdict: string } | undefined;
};

type Deps = {
  readonly kv: Pick<Kv, "get">;
  readonly clock: Clock;
  readonly journal: {
    putOutbox(id: string, data: object): void;
    removeOutbox(id: string): void;
    outbox(): readonly { readonly data: string }[];
  };
  readonly writer: Writer;
  readonly leases: ClaimLeases;
  readonly keys: Keys;
  readonly passPoint: (point: "posted") => void;
};

const RETRY_MS = 1000;

export class Outbox {
  readonly #deps: Deps;
  readonly #pending = new Set<string>();
  #closed = false;
  /** Called with each record that is new, when the journal has it. */
  onPosted: (record: ExecutionRecord) => void = () => {};

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  get depth(): number {
    return this.#pending.size;
  }

  /** Submits what an earlier process left undelivered. */
  resume(): void {
    for (const row of this.#deps.journal.outbox()) this.#submit(JSON.parse(row.data) as OutboxEntry);
  }

  post(entry: OutboxEntry): void {
    this.#deps.journal.putOutbox(entry.record.id, entry);
    this.onPosted(entry.record);
    this.#submit(entry);
  }

  /** No more is tried; the journal has it all. */
  close(): void {
    this.#closed = true;
  }

  #submit(entry: OutboxEntry): void {
    this.#pending.add(entry.record.id);
    if (entry.claim === undefined) this.#write(entry);
    else void this.#writeWithClaim(entry, entry.claim);
  }

  #write(entry: OutboxEntry): void {
    const { record, procKey, lock } = entry;
    const { keys, writer } = this.#deps;
    const inboxKey = keys.inboxRecord(record.nodeId, record.id);
    const deleteProc = procKey === undefined ? [] : [{ op: "delete", key: procKey } as const];
    writer.submit({
      if: [absent(inboxKey)],
      then: [{ op: "put", key: inboxKey, value: encode(record) }, ...deleteProc],
      onSettled: () => this.#delivered(record.id),
    });
    if (lock !== undefined) {
      const last: LockLast = { v: 1, execution: record.execution, endedAt: record.endTime };
      const lastKey = keys.lockLast(record.jobGroup, record.jobId);
      writer.submit({
        if: [sameIncarnation(lock.key, lock.fence)],
        then: [
          { op: "delete", key: lock.key },
          { op: "put", key: lastKey, value: encode(last) },
        ],
        onSettled: () => {},
      });
    }
  }

  async #writeWithClaim(entry: OutboxEntry, claim: NonNullable<OutboxEntry["claim"]>): Promise<void> {
    const { record } = entry;
    const { keys, writer, leases } = this.#deps;
    const lease = await leases.patiently(claim.windowMs);
    if (lease === undefined || this.#closed) return;
    const inboxKey = keys.inboxRecord(record.nodeId, record.id);
    const value: Claim = { v: 1, node: record.nodeId, execution: record.execution, at: record.endTime, verdict: claim.verdict };
    writer.submit({
      if: [absent(inboxKey), absent(claim.key)],
      then: [
        { op: "put", key: inboxKey, value: encode(record) },
        { op: "put", key: claim.key, value: encode(value), lease },
      ],
      onSettled: (applied) => {
        if (applied) this.#delivered(record.id);
        else void this.#underClaim(entry, claim.key);
      },
      onLeaseGone: () => {
        leases.forget();
        void this.#writeWithClaim(entry, claim);
      },
    });
  }

  /** The tick is claimed: if it is by this very execution, the record is its end; else another node speaks for the tick. */
  async #underClaim(entry: OutboxEntry, claimKey: string): Promise<void> {
    while (!this.#closed) {
      try {
        const found = await this.#deps.kv.get(claimKey);
        const owner = found === undefined ? undefined : tryDecode<Claim>(claimKey, found.value)?.execution;
        return owner === entry.record.execution ? this.#write(entry) : this.#delivered(entry.record.id);
      } catch {
        await this.#deps.clock.sleep(RETRY_MS);
      }
    }
  }

  #delivered(id: string): void {
    this.#deps.passPoint("posted");
    this.#deps.journal.removeOutbox(id);
    this.#pending.delete(id);
  }
}
