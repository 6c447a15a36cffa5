/** The fleet of a chaos run: five agents, two masters, three members of etcd, each a host of its own, all kept alive but for what faults do to them. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiClient, createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock } from "fleetcron-shared/base/clock";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import type { Kv } from "fleetcron-shared/store/kv";
import { createKeys, type Keys } from "fleetcron-shared/wire/keys";
import { startDaemon } from "../support/daemon.ts";
import { type EtcdCluster, type EtcdServer, freePorts, startEtcdCluster } from "../support/etcd.ts";
import { isAlive } from "../support/processes.ts";
import type { FilledDisk } from "../support/small-disk.ts";
import { descendants, killSpawners, sessionHostsOf, spawnersOf } from "../support/spawners.ts";
import { CAST, type Cast, hostsOf } from "./cast.ts";
import { FOLDER, mountSmallDisk, reapDisks, removeFolder } from "./disk.ts";
import { type FaultLog, openFaultLog } from "./fault-log.ts";
import { type Kept, keep } from "./kept.ts";
import { openNamespaces, whyNoNamespaces } from "./net/namespaces.ts";
import type { Net } from "./net/net.ts";
import { openProxies } from "./net/proxies.ts";

/** Short, so that a run of minutes sees many of each. */
export const SESSION_TTL_MS = 5000;
export const LOST_AFTER_MS = 10_000;
export const MISSED_AFTER_MS = 5000;
/** Debian's libfaketime, with its offset in a file. The monotonic clock of a host does not move with its wall clock. */
const FAKETIME = "/usr/$LIB/faketime/libfaketime.so.1";

export type ChaosFleet = {
  readonly cast: Cast;
  readonly net: Net;
  readonly etcd: EtcdCluster;
  readonly kv: Kv;
  readonly keys: Keys;
  readonly folder: string;
  readonly faults: FaultLog;
  kept(host: string): Kept;
  member(name: string): EtcdServer;
  /** The client of one master. */
  api(master: string): ApiClient;
  /** The pids of everything that runs on an agent's host: the agent, its spawner, what they have started. */
  pidsOf(agent: string): number[];
  spawners(agent: string): number[];
  /** Sets the wall clock of a host so far off; false when it cannot be moved. */
  setClock(host: string, offsetMs: number): boolean;
  disk(host: string): FilledDisk | undefined;
  /** Where the commands of the agents leave their evidence, a file per agent. */
  readonly evidence: string;
  logOf(host: string): string;
  /** Ends all; `keepFolder`: what was written stays. */
  close(keepFolder: boolean): Promise<void>;
};

export async function startChaosFleet(options: { net?: Net["kind"]; cast?: Cast } = {}): Promise<ChaosFleet> {
  const { cast = CAST } = options;
  // Each daemon and member has an exit hook of its own.
  process.setMaxListeners(100);
  reapDisks(isAlive);
  const folder = mkdtempSync(`${FOLDER}${process.pid}-`);
  const evidence = join(folder, "evidence");
  mkdirSync(evidence);
  const faults = openFaultLog(join(folder, "faults.jsonl"));
  const cleanup: (() => Promise<void> | void)[] = [];
  const close = async (keepFolder: boolean) => {
    for (const each of cleanup.splice(0).reverse()) await each();
    if (!keepFolder) removeFolder(folder);
  };
  try {
    const why = options.net === "proxies" ? "they were not asked for" : whyNoNamespaces();
    if (why !== undefined) faults.note("no namespaces", { why });
    const net = why === undefined ? openNamespaces(hostsOf(cast)) : openProxies();
    cleanup.push(() => net[Symbol.asyncDispose]());
    const etcd = await startEtcdCluster(cast.members.length, {
      hosts: cast.members.map((name) => ({ name, address: net.address(name), wrapper: net.wrapper(name) })),
    });
    cleanup.push(() => etcd.stop());
    const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
    cleanup.push(() => kv.close());

    const clockFile = (host: string) => join(folder, `clock-${host}`);
    const clockEnv = (host: string): Record<string, string> => {
      if (!cast.clocked.includes(host)) return {};
      writeFileSync(clockFile(host), "+0\n");
      return {
        ...{ LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: clockFile(host), FAKETIME_CACHE_DURATION: "1" },
        ...{ FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" },
      };
    };
    const kept = new Map<string, Kept>();
    const keepHost = (host: string, daemon: Kept["daemon"]) => {
      const care = keep(daemon, (end) => faults.note("ended by itself", { host, end }));
      kept.set(host, care);
      cleanup.push(() => care[Symbol.asyncDispose]());
    };
    const wrapped = (host: string) => ({ env: clockEnv(host), wrapper: net.wrapper(host) });

    const [port = 0, ...otherPorts] = await freePorts(cast.masters.length);
    const ports = [port, ...otherPorts];
    for (const [index, host] of cast.masters.entries()) {
      const etcdArgs = (await net.endpoints(host, etcd.members)).join(",");
      const daemon = await startDaemon({
        program: "fleetcron",
        name: host,
        folder,
        ...wrapped(host),
        args: [
          ...["serve", "--etcd", etcdArgs, "--listen", `${net.address(host)}:${ports[index]}`, "--insecure-plain", "--name", host],
          ...["--data-dir", join(folder, `data-${host}`), "--lost-after", `${LOST_AFTER_MS}ms`, "--session-ttl", `${SESSION_TTL_MS}ms`],
          ...["--rate-limit", "0", "--missed-after", `${MISSED_AFTER_MS}ms`],
        ],
      });
      keepHost(host, daemon);
    }
    const { token = "" } = (kept.get(cast.masters[0] ?? "")?.daemon.ready ?? {}) as { token?: string };
    const apis = new Map(
      cast.masters.map((host, index) => {
        const rest = createRest({ clock: systemClock, fetch }, { server: `http://${net.address(host)}:${ports[index]}`, token });
        return [host, createApiClient(rest)];
      }),
    );

    const disks = new Map<string, FilledDisk>();
    await Promise.all(
      cast.agents.map(async (host) => {
        const dataDir = join(folder, `data-${host}`);
        mkdirSync(dataDir, { mode: 0o755 });
        const disk = cast.smallDisks.includes(host) ? mountSmallDisk(dataDir) : undefined;
        if (disk !== undefined) disks.set(host, disk);
        const spawnerFolder = join(dataDir, "spawner");
        const daemon = await startDaemon({
          program: "fleetcron-agent",
          name: host,
          folder,
          ...wrapped(host),
          args: [
            ...["--etcd", (await net.endpoints(host, etcd.members)).join(","), "--node-id", host, "--data-dir", dataDir],
            ...["--session-ttl", `${SESSION_TTL_MS}ms`, "--min-free-disk", "4MiB", "--cgroup", "off"],
          ],
          killRest: () => void killSpawners(spawnerFolder),
        });
        keepHost(host, daemon);
      }),
    );

    const get = <T>(map: ReadonlyMap<string, T>, host: string): T => {
      const found = map.get(host);
      if (found === undefined) throw new Error(`no host ${host}`);
      return found;
    };
    const spawners = (agent: string) => {
      const spawnerFolder = join(folder, `data-${agent}`, "spawner");
      return [...spawnersOf(spawnerFolder), ...sessionHostsOf(spawnerFolder)];
    };
    return {
      ...{ cast, net, etcd, kv, folder, faults, evidence, spawners, close },
      keys: createKeys(),
      kept: (host) => get(kept, host),
      member: (name) => get(new Map(etcd.members.map((member) => [member.name, member])), name),
      api: (master) => get(apis, master),
      pidsOf: (agent) => [get(kept, agent).daemon.pid, ...spawners(agent).flatMap((pid) => [pid, ...descendants(pid)])],
      setClock(host, offsetMs) {
        if (!cast.clocked.includes(host)) return false;
        writeFileSync(clockFile(host), `${offsetMs < 0 ? "-" : "+"}${Math.abs(offsetMs) / 1000}\n`);
        return true;
      },
      disk: (host) => disks.get(host),
      logOf: (host) =>
        cast.members.includes(host) ? get(new Map(etcd.members.map((one) => [one.name, one])), host).log() : get(kept, host).daemon.log(),
    };
  } catch (thrown) {
    await close(false);
    throw thrown;
  }
}
