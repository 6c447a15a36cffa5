/** Looks at a whole fleet from outside, as bounds.ts names it. Memory and files in MiB. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import type { EtcdServer } from "../../support/etcd.ts";
import type { Fleet } from "../../support/fleet.ts";
import { sessionHostsOf, spawnersOf } from "../../support/spawners.ts";
import { descendantsOf, factsOf, nativeBytesOf } from "../process-facts.ts";
import { countFamilies, countKeys, countLeases, metricsOf } from "../scale/etcd-facts.ts";
import { claimedTicksPerSecond } from "./traffic.ts";

const MIB = 2 ** 20;
/** The first ticks are claimed while the jobs are still being applied. */
const SPARE_SECONDS = 30;

/** Since when the traffic's jobs are there, and how many orders it has asked for at most. */
export type Asked = { readonly startedMs: number; readonly orders: number; readonly metricsUrl: (node: string) => string };

/** The values of now, by metric. `metricsUrl`: where an agent serves its metrics. */
export async function sample(
  fleet: Fleet,
  etcd: EtcdServer,
  { startedMs, orders, metricsUrl }: Asked,
): Promise<ReadonlyMap<string, number>> {
  const values = new Map<string, number>();
  const ofProcess = (name: string, pids: readonly number[]) => {
    const { residentBytes, fds } = factsOf(...pids);
    values.set(`${name} resident`, residentBytes / MIB);
    values.set(`${name} descriptors`, fds);
  };
  /** What V8 holds, and what the rest of the process does. */
  const insideOf = async (name: string, pid: number, url: string, token?: string) => {
    const metrics = await metricsOf(url, token);
    values.set(`${name} heap`, metrics("nodejs_heap_size_used_bytes") / MIB);
    values.set(`${name} native`, nativeBytesOf(pid) / MIB);
  };
  for (const [i, master] of fleet.masters.entries()) {
    ofProcess(`master-${i}`, [master.pid]);
    await insideOf(`master-${i}`, master.pid, (master.ready as { url: string }).url, fleet.token);
  }
  let processes = 0;
  for (const [node, agent] of fleet.agents) {
    const data = join(fleet.folder, `data-${node}`);
    const spawners = [...spawnersOf(join(data, "spawner")), ...sessionHostsOf(join(data, "spawner"))];
    ofProcess(`agent-${node}`, [agent.pid]);
    await insideOf(`agent-${node}`, agent.pid, metricsUrl(node));
    ofProcess(`spawner-${node}`, spawners);
    processes += spawners.flatMap(descendantsOf).length;
    values.set(`journal-${node}`, bytesOf(join(data, "journal.db"), join(data, "journal.db-wal")) / MIB);
    const files = readdirSync(join(data, "exec"), { withFileTypes: true });
    values.set(`logs-${node}`, bytesOf(...files.map(({ name }) => join(data, "exec", name))) / MIB);
    values.set(`files-${node}`, files.length);
  }
  values.set("processes", processes);
  const etcdProcess = factsOf(etcd.pid);
  values.set("etcd resident", etcdProcess.residentBytes / MIB);
  values.set("etcd descriptors", etcdProcess.fds);
  const metrics = await metricsOf(etcd.endpoint);
  values.set("etcd's file", metrics("etcd_mvcc_db_total_size_in_bytes") / MIB);
  values.set("watches", metrics("etcd_debugging_mvcc_watcher_total"));
  values.set("leases", await countLeases(etcd.endpoint));
  for (const [family, count] of await countFamilies(fleet.kv)) values.set(`keys of ${family}`, count);
  values.set("inbox", await countKeys(fleet.kv, fleet.keys.inbox));
  const seconds = (systemClock.now() - startedMs) / 1000;
  values.set("claims per tick", (values.get("keys of claims") ?? 0) / ((seconds + SPARE_SECONDS) * claimedTicksPerSecond()));
  values.set("orders per order", (values.get("keys of orders") ?? 0) / Math.max(1, orders));
  values.set("history's file", bytesOf(join(fleet.folder, "master", "history.db"), join(fleet.folder, "master", "history.db-wal")) / MIB);
  return values;
}

/** What is not there takes no room. */
function bytesOf(...paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}
