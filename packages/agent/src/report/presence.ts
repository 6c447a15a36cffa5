/**
 * This node as others see it: `nodes/<node>` (who it is) and `alive/<node>` (that it is there, under the session's lease), and the refusal
 * to run beside another agent of the same id. Etcd away: the alive key expires with the lease and is put again under the next one.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import { AppError, asAppError, asError, isCode } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Alive, NodeInfo } from "fleetcron-shared/model/facts";
import { absent, type KeyValue, type Kv, sameIncarnation, unchanged } from "fleetcron-shared/store/kv";
import type { Incarnation, Session } from "fleetcron-shared/store/session";
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

const REGISTER_AGAIN_MS = 1000;
const POLL_MS = 200;
/** Changes of the alive value within this time share a write. */
const GATHER_MS = 50;
const GATHER_COUNTS_MS = 250;

/** Writes who this node is, keeping what operators set (labels, drain) and when it first registered (`createdAt` if nothing is known of that). */
export async function registerNode(deps: { kv: Kv; keys: Keys }, identity: Identity, createdAt = identity.startedAt): Promise<NodeInfo> {
  const key = deps.keys.node(identity.id);
  for (;;) {
    const found = await deps.kv.get(key);
    const before = found === undefined ? undefined : tryDecode<NodeInfo>(key, found.value);
    const node: NodeInfo = {
      v: 1,
      ...identity,
      apiLabels: before?.apiLabels ?? {},
      createdAt: before?.createdAt ?? createdAt,
      ...(before?.drain === undefined ? {} : { drain: before.drain }),
    };
    const condition = found === undefined ? absent(key) : unchanged(key, found.modRevision);
    const { succeeded } = await deps.kv.txn({ if: [condition], then: [{ op: "put", key, value: encode(node) }] });
    if (succeeded) return node;
  }
}

/** Somebody forgot this node although it is here, or etcd was exchanged for an empty one: it registers until it is seen there. */
export async function keepRegistering(
  deps: Pick<Deps, "kv" | "clock" | "keys" | "log">,
  options: { identity: Identity; createdAt: string; isRegistered: () => boolean; stop: AbortSignal },
): Promise<void> {
  const { identity, createdAt, isRegistered, stop } = options;
  while (!stop.aborted && !isRegistered()) {
    deps.log.warn({}, "this node's registration is gone; it registers again");
    await registerNode(deps, identity, createdAt).catch((thrown: unknown) =>
      deps.log.warn({ error: asError(thrown).message }, "cannot register yet"),
    );
    await deps.clock.sleep(REGISTER_AGAIN_MS, stop);
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

export type PresenceState = Pick<Alive, "running" | "queued" | "draining" | "observedRevision">;

/** Keeps `alive/<node>` true. */
export class Presence {
  readonly #deps: Deps;
  readonly #node: { id: string; instance: string; startedAt: string };
  readonly #key: string;
  readonly #state: () => PresenceState;
  readonly #onDuplicate: (error: AppError) => void;
  readonly #closed = new AbortController();
  #pending: { readonly atMono: number; readonly cancel: () => void } | undefined;
  /** Our key's incarnation; undefined while it is not known to be there. */
  #revision: number | undefined;
  #written = "";
  #announced = false;

  /** `onDuplicate`: while this agent was cut off from etcd, another one came alive under its id. */
  constructor(
    deps: Deps,
    node: { id: string; instance: string; startedAt: string },
    options: { state: () => PresenceState; onDuplicate: (error: AppError) => void },
  ) {
    this.#deps = deps;
    this.#node = node;
    this.#key = deps.keys.alive(node.id);
    this.#state = options.state;
    this.#onDuplicate = options.onDuplicate;
    deps.session.onChange((incarnation) => {
      this.#revision = undefined;
      if (incarnation !== undefined && this.#announced) void this.#announceAgain(incarnation);
    });
  }

  /** The first registration; fails when another agent took the id meanwhile. */
  async announce(): Promise<void> {
    await this.#register(await this.#deps.session.trusted()).catch(async (thrown: unknown) => {
      if (!isCode(thrown, "etcd/unknown-outcome")) throw thrown;
      await this.#register(await this.#deps.session.trusted());
    });
    this.#announced = true;
  }

  /** The plan has changed; a write follows soon, shared with other changes. */
  changed(): void {
    this.#writeWithin(GATHER_MS);
  }

  /** What runs or waits has changed: worth a write when it lasts. */
  countsChanged(): void {
    this.#writeWithin(GATHER_COUNTS_MS);
  }

  /** The node is no longer there, whatever else the session still holds. */
  close(): void {
    this.#closed.abort();
    this.#pending?.cancel();
    const revision = this.#revision;
    if (revision === undefined) return;
    this.#deps.writer.submit({ if: [sameIncarnation(this.#key, revision)], then: [{ op: "delete", key: this.#key }], onSettled: () => {} });
  }

  #writeWithin(ms: number): void {
    const atMono = this.#deps.clock.mono() + ms;
    if (this.#closed.signal.aborted || (this.#pending !== undefined && this.#pending.atMono <= atMono)) return;
    this.#pending?.cancel();
    this.#pending = { atMono, cancel: this.#deps.clock.after(ms, () => this.#write()) };
  }

  #value(): string {
    const alive: Alive = { v: 1, node: this.#node.id, instance: this.#node.instance, startedAt: this.#node.startedAt, ...this.#state() };
    return encode(alive);
  }

  #write(): void {
    this.#pending = undefined;
    const incarnation = this.#deps.session.current();
    const revision = this.#revision;
    const value = this.#value();
    if (incarnation === undefined || revision === undefined || value === this.#written || this.#closed.signal.aborted) return;
    this.#written = value;
    this.#deps.writer.submit({
      if: [sameIncarnation(this.#key, revision)],
      then: [{ op: "put", key: this.#key, value, lease: incarnation.lease }],
      isWanted: () => this.#written === value && this.#revision === revision,
      onSettled: (applied) => {
        // One that a newer value has overtaken was dropped, not refused.
        if (applied || this.#revision !== revision || this.#written !== value) return;
        this.#revision = undefined;
        void this.#announceAgain(incarnation);
      },
      onLeaseGone: () => {},
    });
  }

  async #announceAgain(incarnation: Incarnation): Promise<void> {
    while (!this.#closed.signal.aborted && this.#deps.session.current() === incarnation) {
      try {
        return await this.#register(incarnation);
      } catch (thrown) {
        if (isCode(thrown, "node/duplicate-id")) return this.#onDuplicate(asAppError(thrown));
        this.#deps.log.warn({ error: asError(thrown).message }, "cannot announce this node yet");
        await this.#deps.clock.sleep(POLL_MS, this.#closed.signal);
      }
    }
  }

  /** Puts the key under the incarnation's lease, unless another agent has it. */
  async #register(incarnation: Incarnation): Promise<void> {
    const { kv, log } = this.#deps;
    const key = this.#key;
    const value = this.#value();
    const put = { op: "put", key, value, lease: incarnation.lease } as const;
    let result = await kv.txn({ if: [absent(key)], then: [put], else: [{ op: "get", key }] });
    let createRevision = result.revision;
    if (!result.succeeded) {
      const [read] = result.results;
      const found = read?.op === "get" ? read.kv : undefined;
      if (found === undefined || tryDecode<Alive>(key, found.value)?.instance !== this.#node.instance) {
        throw new AppError("node/duplicate-id", `another agent with the node id "${this.#node.id}" has come alive`, {
          hint: "give each agent a --node-id of its own",
        });
      }
      result = await kv.txn({ if: [unchanged(key, found.modRevision)], then: [put] });
      if (!result.succeeded) throw new AppError("write/conflict", `${key} was written by somebody else`);
      createRevision = found.createRevision;
    }
    this.#revision = createRevision;
    this.#written = value;
    log.debug({ key }, "this node is announced");
    this.changed();
  }
}
