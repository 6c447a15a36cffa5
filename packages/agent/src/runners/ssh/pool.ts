/**
 * Connections that are shared: one per host, user and way to log in, until the server opens no further session on it (MaxSessions); then a further one, or the
 * caller waits for a session to end. A connection that carries nothing for a while is closed.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { SshChannel, SshConnection } from "fleetcron-shared/ssh/connect";
import { SshError, unreachable } from "fleetcron-shared/ssh/failure";

const IDLE_MS = 60_000;
/** Beyond this many connections to one host, sessions wait for each other. */
const MAX_CONNECTIONS = 10;

export type Place = {
  /** Same key, same connection. */
  readonly key: string;
  connect(): Promise<SshConnection>;
};

export type Leased = {
  readonly channel: SshChannel;
  /** As of the connection. */
  readonly closed: Promise<string>;
};

export type SshPool = {
  /**
   * A session that runs `command`; its place is free again when the channel has closed. Waits as long as the server's limit demands. `urgent`: rather a connection
   * more than waiting. Throws SshError; unreachable (closed) when `signal` aborts.
   */
  open(place: Place, command: string, options: { signal: AbortSignal; urgent?: boolean }): Promise<Leased>;
  /** Closes all connections, used or not. */
  close(): void;
};

type Slot = { readonly connection: SshConnection; used: number; limit: number; cancelIdle: () => void };
type Host = { readonly slots: Set<Slot>; pending: Promise<unknown> | undefined; readonly waiting: Set<() => void> };

export function openPool(deps: { clock: Pick<Clock, "after"> }): SshPool {
  const hosts = new Map<string, Host>();
  let isClosed = false;

  async function open(
    place: Place,
    command: string,
    { signal, urgent = false }: { signal: AbortSignal; urgent?: boolean },
  ): Promise<Leased> {
    const host = hosts.get(place.key) ?? { slots: new Set<Slot>(), pending: undefined, waiting: new Set() };
    hosts.set(place.key, host);
    for (;;) {
      if (signal.aborted || isClosed) throw givenUp();
      const free = [...host.slots].find((slot) => slot.connection.isOpen && slot.used < slot.limit);
      if (free === undefined) {
        await oneMore(host, place, signal, urgent);
        continue;
      }
      const leased = await take(host, free, command, signal);
      if (leased !== undefined) return leased;
    }
  }

  /** Undefined: this connection takes no more, or is gone. */
  async function take(host: Host, slot: Slot, command: string, signal: AbortSignal): Promise<Leased | undefined> {
    slot.used++;
    slot.cancelIdle();
    const release = () => {
      slot.used--;
      if (slot.used === 0) slot.cancelIdle = deps.clock.after(IDLE_MS, () => slot.connection.close());
      wake(host);
    };
    try {
      const opening = slot.connection.exec(command);
      await orAbort(signal, opening);
      if (signal.aborted) {
        // A peer that does not answer any more: whoever gave up does not wait for it.
        void opening.then((late) => {
          void closeOf(late, slot.connection).then(release);
          late.close();
        }, release);
        throw givenUp();
      }
      const channel = await opening;
      void closeOf(channel, slot.connection).then(release);
      return { channel, closed: slot.connection.closed };
    } catch (error) {
      if (signal.aborted) throw error;
      release();
      const code = error instanceof SshError && error.failure.type === "failed" ? error.failure.code : undefined;
      // Nothing has been sent yet that would begin anything: another connection may be tried.
      if (code === "ssh/connectionLost" && !slot.connection.isOpen) return undefined;
      if (code !== "ssh/channels" || slot.used === 0) throw error;
      slot.limit = Math.min(slot.limit, slot.used);
      return undefined;
    }
  }

  /** Returns when it is worth looking again: there is a further connection, or a place may be free. */
  async function oneMore(host: Host, place: Place, signal: AbortSignal, urgent: boolean): Promise<void> {
    const mayConnect = urgent || host.slots.size < MAX_CONNECTIONS;
    if (host.pending === undefined && mayConnect) {
      host.pending = place
        .connect()
        .then((connection) => add(host, connection))
        .finally(() => {
          host.pending = undefined;
        });
    }
    const { pending } = host;
    if (pending === undefined) return orAbort(signal, turn(host));
    try {
      await orAbort(signal, pending);
    } catch (error) {
      // The server may limit connections too; while others are there, a place becomes free.
      if (host.slots.size === 0 || urgent) throw error;
      await orAbort(signal, turn(host));
    }
  }

  function add(host: Host, connection: SshConnection): void {
    if (isClosed) return connection.close();
    const slot: Slot = { connection, used: 0, limit: Number.POSITIVE_INFINITY, cancelIdle: () => {} };
    host.slots.add(slot);
    slot.cancelIdle = deps.clock.after(IDLE_MS, () => connection.close());
    void connection.closed.then(() => {
      slot.cancelIdle();
      host.slots.delete(slot);
      wake(host);
    });
    wake(host);
  }

  return {
    open,
    close() {
      isClosed = true;
      for (const host of hosts.values()) {
        for (const slot of host.slots) slot.connection.close();
        wake(host);
      }
    },
  };
}

function givenUp(): SshError {
  return unreachable("closed", "the session was given up while it waited for a connection");
}

/** Returns when either is done; rejects when `work` does. */
async function orAbort(signal: AbortSignal, work: Promise<unknown>): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const stop = () => aborted.resolve();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function turn(host: Host): Promise<void> {
  return new Promise((resolve) => {
    host.waiting.add(resolve);
  });
}

function wake(host: Host): void {
  for (const go of host.waiting) go();
  host.waiting.clear();
}

async function closeOf(channel: SshChannel, connection: SshConnection): Promise<void> {
  await Promise.race([new Promise<void>((resolve) => channel.once("close", () => resolve())), connection.closed]);
}
