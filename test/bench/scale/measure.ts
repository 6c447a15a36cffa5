/** One step: a fleet of one size, what it takes to dispatch to it, to keep it, and to file what it reports. */
import { availableParallelism } from "node:os";
import { systemClock } from "fleetcron-shared/base/clock";
import { isCode } from "fleetcron-shared/base/errors";
import { keys } from "../../support/fake-agent.ts";
import { eventually } from "../../support/fleet.ts";
import { bottleneck } from "./bottleneck.ts";
import { countKeys, countLeases } from "./etcd-facts.ts";
import { type Cpu, POOL_JOBS, type World } from "./world.ts";

export type Size = { readonly agents: number; readonly jobs: number };

/** Something that was waited for, and what was used meanwhile. `repeated`: requests that etcd had not answered in time. */
export type Phase = {
  readonly ms: number;
  readonly cpu: Readonly<Record<string, number>>;
  readonly bottleneck: string;
  readonly repeated?: number;
};

export type Standing = {
  readonly watches: number;
  readonly leases: number;
  readonly renewalsPerSecond: number;
  readonly txnsPerSecond: number;
  readonly databaseBytes: number;
  readonly resident: ReturnType<World["resident"]>;
  readonly cpu: Readonly<Record<string, number>>;
};

export type Filing = {
  readonly asked: number;
  readonly posted: number;
  readonly filed: number;
  /** From the end of an attempt to the filing of its record, on average, of those filed in this time. */
  readonly lagMs: number;
  /** Not filed when the time was over: records in the inbox, and at the agents. */
  readonly backlog: number;
  readonly txns: number;
  readonly fsyncMs: number;
  readonly cpu: Readonly<Record<string, number>>;
  readonly bottleneck: string;
};

const PATIENCE_MS = 240_000;
const CORES = availableParallelism();
const SINGLE = ["master"];
const POLL_MS = 50;
const AGAIN_MS = 200;
const LABELS_AT_ONCE = 8;
/** Less than this share of what was asked for is not keeping up. */
const KEEPS_UP = 0.95;

/** From the start of the master, which finds jobs and nodes and not one dispatch, until the agents hold theirs. */
export async function firstDispatch(world: World, size: Size): Promise<Phase> {
  return phase(
    world,
    world.beforeMaster,
    world.masterStartedMs,
    size.jobs - Math.min(POOL_JOBS, size.jobs),
    "etcd's answers to the master",
  );
}

/** From the request that puts the label on the first `nodes` agents from number `from` on until they hold the jobs that it brings. */
export async function labelChange(world: World, from: number, nodes: number): Promise<Phase> {
  const { held } = await world.agents.look();
  const before = world.cpu();
  const begunMs = systemClock.now();
  let next = from;
  let repeated = 0;
  // Setting a label twice is the same as once: what etcd did not answer in time is asked for again.
  const label = async (node: string): Promise<unknown> => {
    try {
      return await world.api.labelNode(node, { set: { pool: "on" } });
    } catch (error) {
      if (!isCode(error, "etcd/unreachable", "etcd/unknown-outcome")) throw error;
      repeated += 1;
      await systemClock.sleep(AGAIN_MS);
      return label(node);
    }
  };
  const worker = async () => {
    while (next < from + nodes) await label(`sim-${next++}`);
  };
  await Promise.all(Array.from({ length: Math.min(LABELS_AT_ONCE, nodes) }, worker));
  const all = await phase(world, before, begunMs, held + nodes * POOL_JOBS, "round trips between master, etcd and agents");
  return { ...all, repeated };
}

async function phase(world: World, before: Cpu, begunMs: number, held: number, otherwise: string): Promise<Phase> {
  let look = await world.agents.look();
  for (const untilMono = systemClock.mono() + PATIENCE_MS; look.held !== held; look = await world.agents.look()) {
    if (systemClock.mono() > untilMono) throw new Error(`the agents hold ${look.held} of ${held} dispatches after ${PATIENCE_MS / 1000} s`);
    await systemClock.sleep(POLL_MS);
  }
  const ms = look.changedMs - begunMs;
  const cpu = shares(before, world.cpu(), systemClock.now() - begunMs);
  return { ms, cpu, bottleneck: bottleneck({ cpu, cores: CORES, singleThreaded: SINGLE, else: otherwise }) };
}

/** Nothing is asked of the fleet for `forMs`. */
export async function standing(world: World, forMs: number): Promise<Standing> {
  const [before, etcdBefore, begun] = [world.cpu(), await world.etcdMetrics(), systemClock.mono()];
  await systemClock.sleep(forMs);
  const [after, etcd, passed] = [world.cpu(), await world.etcdMetrics(), systemClock.mono() - begun];
  const perSecond = (name: string) => ((etcd(name) - etcdBefore(name)) * 1000) / passed;
  return {
    watches: etcd("etcd_debugging_mvcc_watcher_total"),
    leases: await countLeases(world.etcd),
    renewalsPerSecond: perSecond("etcd_debugging_lease_renewed_total"),
    txnsPerSecond: perSecond("grpc_server_started_total:Txn"),
    databaseBytes: etcd("etcd_mvcc_db_total_size_in_bytes"),
    resident: world.resident(),
    cpu: shares(before, after, passed),
  };
}

/** Records at `perSecond` for `forMs`. Resolves when the backlog is gone, or after a while. */
export async function filing(world: World, perSecond: number, forMs: number): Promise<Filing> {
  const [before, etcdBefore, masterBefore, begun] = [
    world.cpu(),
    await world.etcdMetrics(),
    await world.masterMetrics(),
    systemClock.mono(),
  ];
  const posted = await world.agents.post(perSecond, forMs);
  const passed = systemClock.mono() - begun;
  const [after, etcd, master] = [world.cpu(), await world.etcdMetrics(), await world.masterMetrics()];
  const backlog = (await world.agents.look()).waiting + (await countKeys(world.kv, keys.inbox));
  const grown = (name: string) => master(name) - masterBefore(name);
  const [filed, txns] = [
    grown("fleetcron_master_records_filed_total"),
    etcd("grpc_server_started_total:Txn") - etcdBefore("grpc_server_started_total:Txn"),
  ];
  const fsync = (what: "sum" | "count") =>
    etcd(`etcd_disk_wal_fsync_duration_seconds_${what}`) - etcdBefore(`etcd_disk_wal_fsync_duration_seconds_${what}`);
  const cpu = shares(before, after, passed);
  const keepsUp = filed >= posted * KEEPS_UP && posted >= perSecond * (forMs / 1000) * KEEPS_UP;
  const otherwise = "one filing transaction at a time: etcd's answers";
  await eventually("the backlog is filed", async () => (await countKeys(world.kv, keys.inbox)) === 0, PATIENCE_MS);
  return {
    asked: perSecond,
    posted: (posted * 1000) / passed,
    filed: (filed * 1000) / passed,
    lagMs: (grown("fleetcron_master_filing_lag_seconds_sum") / grown("fleetcron_master_filing_lag_seconds_count")) * 1000,
    backlog,
    txns: (txns * 1000) / passed,
    fsyncMs: (fsync("sum") / fsync("count")) * 1000,
    cpu,
    bottleneck: keepsUp ? "keeps up" : bottleneck({ cpu, cores: CORES, singleThreaded: SINGLE, else: otherwise }),
  };
}

/** Cores' worth of each part. */
function shares(before: Cpu, after: Cpu, passedMs: number): Readonly<Record<keyof Cpu, number>> {
  const share = (part: keyof Cpu) => (after[part] - before[part]) / passedMs;
  return { master: share("master"), etcd: share("etcd"), agents: share("agents"), others: share("others") };
}
