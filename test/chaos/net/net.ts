/** The network between the hosts of a chaos fleet: what can be cut and slowed there. Two kinds: namespaces.ts, and proxies.ts where those are not allowed. */

/** `delayMs`: what is sent waits about so long. `lossPercent`: of what arrives, so much is dropped. */
export type Slowness = { readonly delayMs: number; readonly lossPercent: number };

export type Member = { readonly name: string; readonly endpoint: string; readonly port: number };

export type Pair = readonly [from: string, to: string];

export type Net = {
  readonly kind: "namespaces" | "proxies";
  /** What it cannot do here, in words; empty: everything. */
  readonly lacks: readonly string[];
  /** The address of a host's own services. */
  address(host: string): string;
  /** A command that runs the command behind it on this host. */
  wrapper(host: string): readonly string[];
  /** The etcd endpoints as this host reaches them. */
  endpoints(host: string, members: readonly Member[]): Promise<readonly string[]>;
  /** From now on nothing that the first of a pair sends arrives at the second. */
  cut(pairs: readonly Pair[]): Promise<void>;
  mend(pairs: readonly Pair[]): Promise<void>;
  slow(host: string, how: Slowness | undefined): Promise<void>;
  /** Ends every process of its hosts that is left, and removes it. */
  [Symbol.asyncDispose](): Promise<void>;
};
