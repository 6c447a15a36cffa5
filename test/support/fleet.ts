/** A whole fleet of real processes on a real etcd: masters and agents, with the typed client of the first master that answers. */
import { type ApiClient, createApiClient } from "fleetcron/client/api";
import { createRest } from "fleetcron/client/rest";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createKeys, type Keys } from "fleetcron-shared/wire/keys";
import { startAgentProcess } from "./agent.ts";
import { checkedFetch } from "./api-truth.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { freePorts } from "./etcd.ts";
import { tempFolder } from "./processes.ts";

export type Fleet = {
  readonly api: ApiClient;
  /** The client of another master than the first. */
  apiOf(master: number): ApiClient;
  readonly url: string;
  readonly token: string;
  readonly masters: readonly Daemon[];
  readonly agents: ReadonlyMap<string, Daemon>;
  readonly kv: Kv;
  readonly keys: Keys;
  readonly folder: string;
  file(name: string): string;
  agent(nodeId: string): Daemon;
  addAgent(nodeId: string, options?: { env?: Readonly<Record<string, string>>; args?: readonly string[]; bin?: string }): Promise<Daemon>;
  apply(jobs: Readonly<Record<string, JobSpec>>): Promise<void>;
  /** Every filed record of a job, oldest first, straight from etcd. */
  records(jobKey: string): Promise<ExecutionRecord[]>;
  /** Everything that was written: for failures. */
  logs(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

export type FleetOptions = {
  etcd: readonly string[];
  nodes: readonly string[];
  masters?: number;
  sessionTtl?: string;
  lostAfter?: string;
  masterArgs?: readonly string[];
};

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const temp = tempFolder();
  const folder = temp.path;
  const ports = await freePorts(options.masters ?? 1);
  const masters: Daemon[] = [];
  for (const [index, port] of ports.entries()) {
    masters.push(
      await startDaemon({
        program: "fleetcron",
        name: `master-${index}`,
        folder,
        args: [
          ...["serve", "--etcd", options.etcd.join(","), "--listen", `127.0.0.1:${port}`, "--data-dir", `${folder}/master`],
          ...["--lost-after", options.lostAfter ?? "60s", ...(options.masterArgs ?? [])],
        ],
      }),
    );
  }
  const { url, token } = (masters[0]?.ready ?? {}) as { url: string; token: string };
  const agents = new Map<string, Daemon>();
  const kv = openEtcdKv({ endpoints: options.etcd }, { clock: systemClock });
  const keys = createKeys();
  const addAgent: Fleet["addAgent"] = async (nodeId, more = {}) => {
    const agent = await startAgentProcess({ etcd: options.etcd, nodeId, folder, sessionTtl: options.sessionTtl ?? "5s", ...more });
    agents.set(nodeId, agent);
    return agent;
  };
  await Promise.all(options.nodes.map((nodeId) => addAgent(nodeId)));
  const trueFetch = checkedFetch();
  const api = createApiClient(createRest({ clock: systemClock, fetch: trueFetch }, { server: url, token }));
  return {
    api,
    apiOf(master) {
      const { url: server } = (masters[master]?.ready ?? {}) as Partial<{ url: string }>;
      return createApiClient(createRest({ clock: systemClock, fetch: trueFetch }, { server: server ?? "", token }));
    },
    url,
    token,
    masters,
    agents,
    kv,
    keys,
    folder,
    file: (name) => temp.file(name),
    agent(nodeId) {
      const agent = agents.get(nodeId);
      if (agent === undefined) throw new Error(`no agent ${nodeId}`);
      return agent;
    },
    addAgent,
    async apply(jobs) {
      await api.apply({ files: [{ name: "test.json", text: JSON.stringify({ jobs }) }] });
    },
    async records(jobKey) {
      const [group = "", id = ""] = jobKey.split("/");
      const { kvs } = await kv.range(prefixRange(keys.recordsOf(group, id)));
      return kvs.map((entry) => JSON.parse(entry.value) as ExecutionRecord);
    },
    logs: () => [...masters, ...agents.values()].map((daemon) => daemon.log()).join("\n"),
    async [Symbol.asyncDispose]() {
      await Promise.all([...agents.values(), ...masters].map((daemon) => daemon[Symbol.asyncDispose]()));
      await kv.close();
      temp[Symbol.dispose]();
    },
  };
}

/** Polls until `look` gives something, with a limit: for facts that come through etcd. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>, limitMs = 30_000): Promise<T> {
  const end = systemClock.mono() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (systemClock.mono() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await systemClock.sleep(50);
  }
}
