/** Our figures, the machine's limit measured in the same run, and their ratio. Nothing here passes or fails. */
import { measureAdoption } from "./adopt.ts";
import { startBenchFleet } from "./bench-fleet.ts";
import { measureBurst } from "./burst.ts";
import { measureFollow } from "./follow.ts";
import { measureLoad } from "./load.ts";
import { measureOrders } from "./orders.ts";
import { measureHandOver, measureManyRuns } from "./pipelines.ts";
import { machineLine, markdownTable } from "./report.ts";
import { measureSkew } from "./skew.ts";
import { measureSsh } from "./ssh.ts";
import { measureWriters } from "./writers.ts";
import { measureWrites } from "./writes.ts";

/** Prints each figure as it comes, and all of them as a table. `quick` takes fewer samples. */
export async function measureOurs(quick: boolean): Promise<void> {
  const caption = machineLine();
  console.log(caption);
  const rows: [what: string, ours: string, limit: string, aim: string][] = [];
  const say = (what: string, ours: string, limit = "", aim = "") => {
    rows.push([what, ours, limit, aim]);
    console.log(`${what}: ${ours}${limit === "" ? "" : ` | ${limit}`}`);
  };
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  await using fleet = await startBenchFleet();

  const one = await measureSkew(fleet, { name: "one", jobs: 1, everySeconds: 1, instants: quick ? 20 : 120 });
  say("skew of one job", `p50 ${ms(one.p50)}, p99 ${ms(one.p99)}, max ${ms(one.max)} (${one.count} ticks)`, "", "p50 ≤ 3 ms, p99 ≤ 8 ms");
  const hundred = await measureSkew(fleet, { name: "hundred", jobs: 100, everySeconds: 2, instants: quick ? 3 : 15 });
  say(
    "skew of 100 jobs at one instant",
    `p50 ${ms(hundred.p50)}, p99 ${ms(hundred.p99)}, max ${ms(hundred.max)} (${hundred.count} ticks)`,
    "",
    "p99 ≤ 110 ms",
  );
  const orders = await measureOrders(fleet, quick ? 50 : 300);
  say("order → process start", `p50 ${ms(orders.p50)}, p99 ${ms(orders.p99)}, max ${ms(orders.max)}`, "", "p50 ≤ 6 ms, p99 ≤ 15 ms");
  for (let round = 1; round <= (quick ? 1 : 5); round++) {
    const burst = await measureBurst(fleet, 1000, round);
    const ratio = (burst.ours / burst.limit).toFixed(2);
    say(
      `1,000 due at one instant, round ${round}`,
      `${burst.ours.toFixed(0)} starts/s, last after ${ms(burst.lastMs)}, ${burst.writes.toFixed(3)} etcd writes each`,
      `C posix_spawn ${burst.limit.toFixed(0)}/s, ratio ${ratio}`,
      "ratio ≥ 0.5",
    );
  }
  const beside = await measureWriters(fleet, { writers: 20, instants: quick ? 10 : 60 });
  say(
    "skew of one job beside 20 that print 10 MB/s each",
    `p50 ${ms(beside.p50)}, p99 ${ms(beside.p99)}, max ${ms(beside.max)} (${beside.count} ticks)`,
    "",
    "p99 ≤ 50 ms",
  );
  const follow = await measureFollow(fleet, quick ? 50 : 300);
  say("line written → seen by a follower", `p50 ${ms(follow.p50)}, p95 ${ms(follow.p95)}, max ${ms(follow.max)}`, "", "p95 ≤ 300 ms");
  for (const kind of ["common", "interval", "alone"] as const) {
    const writes = await measureWrites(fleet, kind, quick ? 10 : 30);
    say(
      `etcd writes per execution, ${kind}, one at a time`,
      `${writes.perExecution.toFixed(2)} (agent ${writes.agent.toFixed(2)}, master ${writes.master.toFixed(2)}); leases ${writes.leasesBefore} → ${writes.leasesAfter}`,
      "",
      "agent ≤ 2, leases constant",
    );
  }
  const handOver = await measureHandOver(fleet, quick ? 2 : 10);
  say(
    "a pipeline task's end → the next one's process",
    `p50 ${ms(handOver.p50)}, p95 ${ms(handOver.p95)}, max ${ms(handOver.max)} (${handOver.count} hand-overs)`,
    "",
    "p95 ≤ 50 ms",
  );
  const runs = await measureManyRuns(fleet, quick ? 100 : 1000);
  say(
    `${quick ? "100" : "1,000"} pipeline runs of 5 tasks each`,
    `${runs.succeeded} succeeded, ${runs.starts} processes, ${runs.perSecond.toFixed(1)} runs/s, the slowest after ${ms(runs.slowestMs)}`,
    "",
    "none stuck, none twice",
  );
  const ssh = await measureSsh(quick ? 1 : 3);
  say(
    "100 MB of output over ssh",
    `${ssh.ours.toFixed(0)} MB/s`,
    `OpenSSH client ${ssh.openSsh.toFixed(0)} MB/s, ratio ${(ssh.ours / ssh.openSsh).toFixed(2)}`,
    "ratio ≥ 0.5",
  );
  say(
    "a short command over ssh",
    `${ms(ssh.shortMs)} on a connection that is there`,
    `OpenSSH client with its own ${ms(ssh.openSshShortMs)}`,
  );
  const load = await measureLoad(fleet, quick ? 10_000 : 100_000);
  say(
    `${quick ? "10,000" : "100,000"} jobs in one agent`,
    `ready after ${ms(load.readyMs)}, ${load.residentMb.toFixed(0)} MB resident (dispatches of ${load.valueBytes.toFixed(0)} bytes)`,
    "",
    "5 s, 400 MB",
  );

  const adoption = await measureAdoption(fleet, 1000);
  say(
    "1,000 sleeping executions",
    `${(adoption.runningMb - adoption.idleMb).toFixed(0)} MB more than idle (agent and spawner, ${adoption.idleMb.toFixed(0)} MB); session ${adoption.keptSession ? "kept" : "lost"}`,
    "",
    "300 MB, kept",
  );
  say("adoption of 1,000 executions by the next agent", `${ms(adoption.adoptedMs)} after its start`, "", "3 s");
  console.log(`\n${caption}\n\n${markdownTable(["what", "Fleetcron", "limit of the machine, same run", "aim"], rows)}`);
}
