/** What a step of the measurement runs on: an etcd on disk with nothing in it, jobs written beside the master, simulated agents, one master. */
import { join } from "node:path";
import { type ApiClient, createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, MAX_TXN_OPS, type Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { startDaemon } from "../../support/daemon.ts";
import { startEtcd } from "../../support/etcd.ts";
import { keys } from "../../support/fake-agent.ts";
import { tempFolder } from "../../support/processes.ts";
import { factsOf, machineBusyMs } from "../process-facts.ts";
import { type SimAgents, startSimAgents } from "./agents.ts";
import { metricsOf } from "./etcd-facts.ts";

/** Jobs that match no node until a node gets the label `pool=on`. */
export const POOL_JOBS = 100;

export type World = {
  readonly api: ApiClient;
  readonly kv: Kv;
  readonly etcd: string;
  readonly agents: SimAgents;
  /** When the master's process was started. */
  readonly masterStartedMs: number;
  /** Right before that. */
  readonly beforeMaster: Cpu;
  cpu(): Cpu;
  resident(): { readonly master: number; readonly etcd: number; readonly agents: number };
  masterMetrics(): Promise<(name: string) => number>;
  etcdMetrics(): Promise<(name: string) => number>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** CPU time in milliseconds since the start of each; `others`: everything else on this machine. */
export type Cpu = { readonly master: number; readonly etcd: number; readonly agents: number; readonly others: number };

/** Not the tests' quick elections, which a busy machine deposes; room for what is measured; compaction as the README asks for. */
const ETCD_ARGS = ["--heartbeat-interval", "100", "--election-timeout", "1000", "--quota-backend-bytes", String(8 * 2 ** 30)];
const COMPACTION = ["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h"];

export async function startWorld(size: { readonly agents: number; readonly jobs: number }): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const temp = stack.use(tempFolder());
  const etcd = stack.use(await startEtcd({ args: [...ETCD_ARGS, ...COMPACTION, "--data-dir", join(temp.path, "etcd")] }));
  const kv = openEtcdKv({ endpoints: [etcd.endpoint], callTimeoutMs: 30_000 }, { clock: systemClock });
  stack.defer(() => kv.close());
  await writeJobs(kv, size);
  const agents = stack.use(await startSimAgents(etcd.endpoint, size.agents));
  const cpu = (master?: number): Cpu => {
    const own = {
      master: master === undefined ? 0 : factsOf(master).cpuMs,
      etcd: factsOf(etcd.pid).cpuMs,
      agents: factsOf(...agents.pids).cpuMs,
    };
    return { ...own, others: machineBusyMs() - own.master - own.etcd - own.agents };
  };
  const [masterStartedMs, beforeMaster] = [systemClock.now(), cpu()];
  const args = [
    "serve",
    "--etcd",
    etcd.endpoint,
    "--listen",
    "127.0.0.1:0",
    "--data-dir",
    join(temp.path, "master"),
    "--log-level",
    "warn",
  ];
  const master = stack.use(await startDaemon({ program: "fleetcron", name: "master", folder: temp.path, args, limitMs: 120_000 }));
  const { url, token } = master.ready as { url: string; token: string };
  const api = createApiClient(createRest({ clock: systemClock, fetch }, { server: url, token }));
  const own = stack.move();
  return {
    api,
    kv,
    etcd: etcd.endpoint,
    agents,
    masterStartedMs,
    beforeMaster,
    cpu: () => cpu(master.pid),
    resident: () => ({
      master: factsOf(master.pid).residentBytes,
      etcd: factsOf(etcd.pid).residentBytes,
      agents: factsOf(...agents.pids).residentBytes,
    }),
    masterMetrics: () => metricsOf(url, token),
    etcdMetrics: () => metricsOf(etcd.endpoint),
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  };
}

/** Each job is for one node, by its label; a hundred for those of the pool. None is due for months: the records are made up. */
async function writeJobs(kv: Kv, size: { readonly agents: number; readonly jobs: number }): Promise<void> {
  const now = toIso(systemClock.now());
  const ops: Op[] = Array.from({ length: size.jobs }, (_, i) => {
    const isPool = i < POOL_JOBS;
    const [group, id] = [isPool ? "pool" : `g${i % 100}`, `job-${i}`];
    const job: StoredJob = {
      ...{ v: 1, group, id, createdAt: now, updatedAt: now, submittedAt: now },
      spec: {
        name: `job number ${i}`,
        run: { command: { script: `/usr/local/bin/do-something --number ${i} --quiet` } },
        rules: [
          {
            mode: "cycle",
            timer: `${i % 60} ${Math.floor(i / 60) % 24} 1 1 *`,
            timezone: "Europe/Berlin",
            target: { labels: isPool ? { pool: "on" } : { slot: `s${i % size.agents}` } },
          },
        ],
        timeout: "1h",
        retry: { limit: 2, delay: "1m" },
      },
    };
    return { op: "put", key: keys.job(group, id), value: encode(job) };
  });
  for (let at = 0; at < ops.length; at += MAX_TXN_OPS) await kv.txn({ then: ops.slice(at, at + MAX_TXN_OPS) });
}
