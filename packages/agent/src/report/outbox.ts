/**
 * Records on their way to the master: first into the journal, then into etcd's inbox, create-if-absent, so that a repetition is harmless.
 * Etcd away for hours: they wait in the journal. A record with a `claim` is a verdict on a tick that any node could still take: it is
 * delivered only together with that claim, and dropped when somebody else has it.
 */
import type { Claim } from "fleetcron-shared/model/facts";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { absent, type Compare, type Op, sameIncarnation } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
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
  readonly journal: {
    putOutbox(id: string, data: object): void;
    removeOutbox(id: string): void;
    outbox(): readonly { readonly data: string }[];
  };
  readonly writer: Writer;
  readonly leases: ClaimLeases;
  readonly keys: Keys;
};

export class Outbox {
  readonly #deps: Deps;
  readonly #pending = new Set<string>();

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
    this.#submit(entry);
  }

  #submit(entry: OutboxEntry): void {
    const { record, claim } = entry;
    this.#pending.add(record.id);
    if (claim === undefined) this.#write(entry, [], []);
    else {
      void this.#deps.leases.patiently(claim.windowMs).then((lease) => {
        if (lease === undefined) return;
        const value: Claim = { v: 1, node: record.nodeId, execution: record.execution, at: record.endTime, verdict: claim.verdict };
        this.#write(entry, [absent(claim.key)], [{ op: "put", key: claim.key, value: encode(value), lease }]);
      });
    }
  }

  #write(entry: OutboxEntry, conditions: readonly Compare[], operations: readonly Op[]): void {
    const { record, procKey, lock } = entry;
    const { keys, writer, journal } = this.#deps;
    const inboxKey = keys.inboxRecord(record.nodeId, record.id);
    writer.submit({
      if: [absent(inboxKey), ...conditions],
      then: [
        { op: "put", key: inboxKey, value: encode(record) },
        ...operations,
        ...(procKey === undefined ? [] : [{ op: "delete", key: procKey } as const]),
      ],
      onSettled: () => {
        journal.removeOutbox(record.id);
        this.#pending.delete(record.id);
      },
    });
    if (lock !== undefined) {
      writer.submit({ if: [sameIncarnation(lock.key, lock.fence)], then: [{ op: "delete", key: lock.key }], onSettled: () => {} });
    }
  }
}
