/**
 * The port between the comparison and what is compared: each peer starts the same static program, which writes down the time of its own first
 * instruction, so that every figure ends at the same place. What a peer cannot do it leaves out; what cannot be installed says why.
 */
import { systemClock } from "fleetcron-shared/base/clock";
import { eventually } from "../../support/fleet.ts";
import { quantile, type Stamp } from "../bench-fleet.ts";

/** Milliseconds. */
export type Quantiles = { readonly p50: number; readonly p99: number };

export type Peer = {
  readonly name: string;
  /** What was measured: version, where it keeps its state, what differs from the others. */
  readonly what: string;
  /** One job that is due once a second (cron: a minute): due time → first instruction, for so many ticks. */
  skew(round: number, ticks: number): Promise<Quantiles>;
  /** Asked for now → first instruction, one at a time. */
  orders?(round: number, count: number): Promise<Quantiles>;
  /** So many due at one instant: starts per second until the last first instruction. */
  burst(round: number, count: number): Promise<number>;
  /** Resident memory of everything that it runs, in bytes. */
  memory?(): number;
  /** Takes on so many jobs that are not due for months. */
  hold?(count: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Why a peer is not measured; for people. */
export class Unavailable extends Error {}

export type PeerBench = {
  /** Temporary; a peer makes folders of its own in it. */
  readonly folder: string;
  readonly stamp: string;
  /** Of a file in `folder`. */
  stamps(file: string): Stamp[];
};

export function quantilesOf(values: readonly number[]): Quantiles {
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) };
}

/** How late each was, when everything is due at multiples of `periodMs` and nothing is later than that. Pure. */
export function latenessOf(stamps: readonly Pick<Stamp, "atMs">[], periodMs: number): number[] {
  return stamps.map(({ atMs }) => atMs - Math.floor(atMs / periodMs) * periodMs);
}

/** Waits until `count` processes have written their stamp. */
export async function stamped(bench: PeerBench, file: string, count: number, limitMs: number): Promise<Stamp[]> {
  return eventually(
    `${count} stamps in ${file}`,
    async () => {
      const stamps = bench.stamps(file);
      return stamps.length >= count && stamps;
    },
    limitMs,
  );
}

export function startsPerSecond(stamps: readonly Pick<Stamp, "atMs">[], dueMs: number): number {
  return (stamps.length / (Math.max(...stamps.map(({ atMs }) => atMs)) - dueMs)) * 1000;
}

/** A whole second, so far ahead that what is due then has been taken in. */
export function soon(aheadMs: number): number {
  return Math.ceil(systemClock.now() / 1000) * 1000 + aheadMs;
}
