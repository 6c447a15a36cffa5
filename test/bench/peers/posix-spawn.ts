/** The machine's limit: C programs that do nothing but sleep and call `posix_spawn`. They keep nothing, so memory and jobs do not apply. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { compile } from "../bench-fleet.ts";
import { latenessOf, type Peer, type PeerBench, quantilesOf } from "./peer.ts";

const run = promisify(execFile);

export function posixSpawnPeer(bench: PeerBench & { readonly spawnLoop: string }): Peer {
  const spawnAt = compile(bench.folder, "spawn-at");
  const file = (name: string) => join(bench.folder, name);
  return {
    name: "C posix_spawn",
    what: "a loop without state, the limit of the machine; its orders are bytes in a pipe",
    async skew(round, ticks) {
      const name = `c-skew-${round}`;
      await run(spawnAt, ["tick", String(ticks), bench.stamp, file(name), "c"]);
      return quantilesOf(latenessOf(bench.stamps(name), 1000));
    },
    async orders(round, count) {
      const name = `c-orders-${round}`;
      const done = run(spawnAt, ["order", bench.stamp, file(name), "c"]);
      done.child.stdin?.end("x".repeat(count));
      const sent = (await done).stdout.trim().split("\n").map(Number);
      return quantilesOf(bench.stamps(name).map(({ atMs }, i) => atMs - (sent[i] ?? Number.NaN) * 1000));
    },
    async burst(round, count) {
      const { stdout } = await run(bench.spawnLoop, [String(count), "16", bench.stamp, file(`c-burst-${round}`)]);
      return Number(stdout);
    },
    async [Symbol.asyncDispose]() {},
  };
}
