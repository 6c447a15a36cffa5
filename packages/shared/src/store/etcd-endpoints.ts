/**
 * Which member of etcd is asked: one client per endpoint, all calls to the current one, and on to the next when it fails. A member whose
 * connection is silent gets a fresh one, because the old one may be half-open, and its streams are ended.
 * Invariant: of many calls that fail at once on one connection, only the first moves the current endpoint.
 */
import type { Clock } from "../base/clock.ts";

/** One connection to one member. `generation` grows with each new connection of this store. */
export type Endpoint<Client> = {
  readonly address: string;
  readonly client: Client;
  readonly generation: number;
  readonly streams: Set<() => void>;
};

export type Endpoints<Client> = {
  readonly size: number;
  current(): Endpoint<Client>;
  /** The connection failed: the next member becomes the current one. `stale`: do not use this connection any more. */
  failed(endpoint: Endpoint<Client>, stale: boolean): void;
  close(): void;
};

type Options<Client> = {
  readonly addresses: readonly string[];
  /** Calls under way may take so long; a replaced client is closed after that. */
  readonly lingerMs: number;
  open(address: string, generation: number): Client;
  close(client: Client): void;
};

export function createEndpoints<Client>(deps: { clock: Pick<Clock, "after"> }, options: Options<Client>): Endpoints<Client> {
  const { addresses } = options;
  const open = new Map<number, Endpoint<Client>>();
  const lingering = new Map<Endpoint<Client>, () => void>();
  let index = 0;
  let generation = 0;

  function current(): Endpoint<Client> {
    const existing = open.get(index);
    if (existing) return existing;
    const address = addresses[index] ?? "";
    generation += 1;
    const endpoint = { address, client: options.open(address, generation), generation, streams: new Set<() => void>() };
    open.set(index, endpoint);
    return endpoint;
  }

  function retire(endpoint: Endpoint<Client>): void {
    const finish = () => {
      lingering.get(endpoint)?.();
      lingering.delete(endpoint);
      options.close(endpoint.client);
    };
    lingering.set(endpoint, deps.clock.after(options.lingerMs, finish));
    for (const endStream of [...endpoint.streams]) endStream();
  }

  return {
    size: addresses.length,
    current,
    failed(endpoint, stale) {
      const position = addresses.indexOf(endpoint.address);
      if (open.get(position) !== endpoint) return;
      if (position === index) index = (index + 1) % addresses.length;
      if (!stale) return;
      open.delete(position);
      retire(endpoint);
    },
    close() {
      for (const endpoint of open.values()) {
        for (const endStream of [...endpoint.streams]) endStream();
        options.close(endpoint.client);
      }
      for (const [endpoint, cancel] of lingering) {
        cancel();
        options.close(endpoint.client);
      }
      open.clear();
      lingering.clear();
    },
  };
}
