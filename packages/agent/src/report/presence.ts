/**
 * This node as others see it: `nodes/<node>` (who it is) and `alive/<node>` (that it is there, under the session's lease), and the refusal
 * to run beside another agent of the same id. Etcd away: the alive key expires with the lease and is put again under the next one.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Alive, NodeInfo } from "fleetcron-shared/model/facts";
import { absent, type KeyValue, type Kv, unchanged } from "fleetcron-shared/store/kv";
import type { Session } from "fleetcron-shared/store/session";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Writer } from "./writer.ts";

type Identity = Omit<NodeInfo, "v" | "apiLabels" | "createdAt" | "drain">;
type Deps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly keys: Keys;
  readonly session: Session;
  readonly writer: Writer;
  readonly log: Log;
};

const POLL_MS = 200;
/** Changes of the alive value within this time share a write. */
const GATHER_MS = 50;

/** Writes who this node is, keeping what operators set (labels, drain). Returns when the node first registered. */
export async function registerNode(deps: { kv: Kv; keys: Keys }, identity: Identity): Promise<NodeInfo> {
  const key = deps.keys.node(identity.id);
  for (;;) {
    const found = await deps.kv.get(key);
    const before = found === undefined ? undefined : tryDecode<NodeInfo>(key, found.value);
    const node: NodeInfo = {
      v: 1,
      ...identity,
      apiLabels: before?.apiLabels ?? {},
      createdAt: before?.createdAt ?? identity.startedAt,
      ...(before?.drain === undefined ? {} : { drain: before.drain }),
    };
    const condition = found === undefined ? absent(key) : unchanged(key, found.modRevision);
    const { succeeded } = await deps.kv.txn({ if: [condition], then: [{ op: "put", key, value: encode(node) }] });
    if (succeeded) return node;
  }
}

/**
 * Waits until no other agent of this id is alive. One that vanishes within `waitMs` was a former process of this node that died without a
 * word; one that stays is a second agent with the same id, which is refused. `formerInstance` is known to be dead: it is replaced at once.
 */
export async function refuseDuplicate(
  deps: Deps,
  options: { nodeId: string; formerInstance: string | undefined; waitMs: number },
): Promise<void> {
  const key = deps.keys.alive(options.nodeId);
  const untilMono = deps.clock.mono() + options.waitMs;
  for (;;) {
    const found = await deps.kv.get(key);
    if (found === undefined) return;
    const other = tryDecode<Alive>(key, found.value);
    if (other !== undefined && other.instance === options.formerInstance) return remove(deps.kv, found);
    if (deps.clock.mono() >= untilMono) {
      throw new AppError(
        "node/duplicate-id",
        `another agent with the node id "${options.nodeId}" is alive (started ${other?.startedAt ?? "at an unknown time"})`,
        {
          hint: "give this agent a --node-id of its own, or stop the other one",
        },
      );
    }
    await deps.clock.sleep(POLL_MS);
  }
}

async function remove(kv: Kv, found: KeyValue): Promise<void> {
  await kv.txn({ if: [unchanged(found.key, found.modRevision)], then: [{ op: "delete", key: found.key }] });
}

export type PresenceState = { readonly running: number; readonly queued: number; readonly observedRevision: number };

/** Keeps `alive/<node>` true. */
export class Presence {
  readonly #deps: Deps;
  readonly #node: { id: string; instance: string; startedAt: string };
  readonly #state: () => PresenceState;
  #cancelGather: (() => void) | undefined;
  #written = "";
  #closed = false;

  constructor(deps: Deps, node: { id: string; instance: string; startedAt: string }, state: () => PresenceState) {
    this.#deps = deps;
    this.#node = node;
    this.#state = state;
    deps.session.onChange((incarnation) => {
      this.#written = "";
      if (incarnation !== undefined) this.#write();
    });
  }

  /** The first registration; fails when another agent took the id meanwhile. */
  async announce(): Promise<void> {
    const { kv, keys, session } = this.#deps;
    const { lease } = await session.trusted();
    const key = keys.alive(this.#node.id);
    try {
      const { succeeded } = await kv.txn({ if: [absent(key)], then: [{ op: "put", key, value: this.#value(), lease }] });
      if (succeeded) return;
    } catch (thrown) {
      if (!isCode(thrown, "etcd/unknown-outcome")) throw thrown;
    }
    const found = await kv.get(key);
    if (found === undefined || tryDecode<Alive>(key, found.value)?.instance === this.#node.instance) return;
    throw new AppError("node/duplicate-id", `another agent with the node id "${this.#node.id}" has just come alive`, {
      hint: "give each agent a --node-id of its own",
    });
  }

  /** The state has changed; a write follows soon, shared with other changes. */
  changed(): void {
    if (this.#closed) return;
    this.#cancelGather ??= this.#deps.clock.after(GATHER_MS, () => this.#write());
  }

  close(): void {
    this.#closed = true;
    this.#cancelGather?.();
  }

  #value(): string {
    const alive: Alive = { v: 1, node: this.#node.id, instance: this.#node.instance, startedAt: this.#node.startedAt, ...this.#state() };
    return encode(alive);
  }

  #write(): void {
    this.#cancelGather?.();
    this.#cancelGather = undefined;
    const lease = this.#deps.session.current()?.lease;
    const value = this.#value();
    if (lease === undefined || value === this.#written || this.#closed) return;
    this.#written = value;
    this.#deps.writer.submit({
      if: [],
      then: [{ op: "put", key: this.#deps.keys.alive(this.#node.id), value, lease }],
      isWanted: () => this.#written === value && this.#deps.session.current()?.lease === lease,
      onSettled: () => {},
    });
  }
}
