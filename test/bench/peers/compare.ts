/**
 * `npm run bench -- --peers`: ours beside others on this machine, in this run, by turns: each round every peer does each part once, and the
 * next round begins with another one. Figures are medians over the rounds, with the least and the greatest.
 */

import { systemClock } from "fleetcron-shared/base/clock";
import { startBenchFleet } from "../bench-fleet.ts";
import { machineLine, markdownTable, mb, median, ms, spread, count as thousands } from "../report.ts";
import { startBullmq } from "./bullmq-peer.ts";
import { startCron } from "./cron-peer.ts";
import { fleetcronPeer } from "./fleetcron-peer.ts";
import { type Peer, type PeerBench, type Quantiles, Unavailable } from "./peer.ts";
import { posixSpawnPeer } from "./posix-spawn.ts";

export type PeersOptions = {
  readonly rounds: number;
  readonly ticks: number;
  readonly orders: number;
  readonly burst: number;
  readonly held: number;
};

/** Memory in bytes: right after its start, after the rounds, with jobs. */
type Memory = { readonly fresh: number; loaded?: number; holding?: number };
type Figures = { skew: Quantiles[]; orders: Quantiles[]; burst: number[]; memory: Memory | undefined };

const SETTLE_MS = 5000;
const LIMIT = "C posix_spawn";
/** What is not on npm or in Debian, and so cannot be installed by this script. */
const NOT_TO_BE_HAD = [
  "Cronicle: skipped: its package is private to its repository (npm has none, its releases are on GitHub), and this script installs from npm and Debian alone",
];

export async function comparePeers(options: PeersOptions): Promise<void> {
  const caption = machineLine();
  console.log(caption);
  await using fleet = await startBenchFleet();
  await using stack = new AsyncDisposableStack();
  const bench: PeerBench & { spawnLoop: string } = fleet;
  const peers: Peer[] = [fleetcronPeer(fleet), posixSpawnPeer(bench)];
  const notes = [...NOT_TO_BE_HAD];
  for (const start of [startBullmq, startCron]) {
    try {
      peers.push(stack.use(await start(bench)));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      notes.push(`${start === startCron ? "Debian cron" : "BullMQ"}: skipped: ${error.message}`);
    }
  }
  for (const note of notes) console.log(note);
  await systemClock.sleep(SETTLE_MS);
  const fresh = (peer: Peer): Memory | undefined => (peer.memory === undefined ? undefined : { fresh: peer.memory() });
  const figures = new Map(peers.map((peer): [Peer, Figures] => [peer, { skew: [], orders: [], burst: [], memory: fresh(peer) }]));
  for (let round = 1; round <= options.rounds; round++) {
    const turn = [...peers.slice((round - 1) % peers.length), ...peers.slice(0, (round - 1) % peers.length)];
    await eachPart(turn, figures, round, options);
  }
  for (const [peer, own] of figures) {
    const { memory } = own;
    if (peer.memory === undefined || peer.hold === undefined || memory === undefined) continue;
    memory.loaded = peer.memory();
    await peer.hold(options.held);
    await systemClock.sleep(SETTLE_MS);
    memory.holding = peer.memory();
    console.log(
      `${peer.name}: memory ${mb(memory.fresh)}, after the rounds ${mb(memory.loaded)}, with ${thousands(options.held)} jobs ${mb(memory.holding)}`,
    );
  }
  console.log(`\n${caption}\nrounds: ${options.rounds}\n`);
  console.log(tableOf(figures, options));
  console.log(["", ...peers.map(({ name, what }) => `- ${name}: ${what}`), ...notes.map((note) => `- ${note}`)].join("\n"));
}

async function eachPart(turn: readonly Peer[], figures: ReadonlyMap<Peer, Figures>, round: number, options: PeersOptions): Promise<void> {
  for (const peer of turn) {
    const own = figures.get(peer);
    const skew = await peer.skew(round, options.ticks);
    own?.skew.push(skew);
    console.log(`round ${round}, ${peer.name}: skew p50 ${ms(skew.p50)}, p99 ${ms(skew.p99)}`);
  }
  for (const peer of turn) {
    const orders = await peer.orders?.(round, options.orders);
    if (orders === undefined) continue;
    figures.get(peer)?.orders.push(orders);
    console.log(`round ${round}, ${peer.name}: order → process start p50 ${ms(orders.p50)}, p99 ${ms(orders.p99)}`);
  }
  for (const peer of turn) {
    const rate = await peer.burst(round, options.burst);
    figures.get(peer)?.burst.push(rate);
    console.log(`round ${round}, ${peer.name}: ${thousands(options.burst)} due at one instant, ${rate.toFixed(0)} starts/s`);
  }
}

function tableOf(figures: ReadonlyMap<Peer, Figures>, options: PeersOptions): string {
  const limits = [...figures].find(([{ name }]) => name === LIMIT)?.[1].burst ?? [];
  const rows = [...figures].map(([peer, { skew, orders, burst, memory }]) => [
    peer.name,
    `${spread(pick(skew, "p50"), ms)} / ${spread(pick(skew, "p99"), ms)}`,
    orders.length === 0 ? "—" : `${spread(pick(orders, "p50"), ms)} / ${spread(pick(orders, "p99"), ms)}`,
    spread(burst, thousands),
    peer.name === LIMIT ? "1" : ratios(burst, limits),
    ...[memory?.fresh, memory?.loaded, memory?.holding].map((bytes) => (bytes === undefined ? "—" : mb(bytes))),
  ]);
  return markdownTable(
    [
      "system",
      "skew of one job, p50 / p99",
      "order → process start, p50 / p99",
      `${thousands(options.burst)} due at one instant: starts/s`,
      "of the C loop, same round",
      "memory idle, just started",
      "after the rounds",
      `with ${thousands(options.held)} jobs`,
    ],
    rows,
  );
}

function pick(of: readonly Quantiles[], which: keyof Quantiles): number[] {
  return of.map((one) => one[which]);
}

function ratios(own: readonly number[], limits: readonly number[]): string {
  const all = own.map((rate, i) => rate / (limits[i] ?? Number.NaN));
  return all.length === 0 ? "—" : median(all).toFixed(2);
}
