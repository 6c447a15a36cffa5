/** Real agents on a real etcd, with the test in the master's place: it writes dispatches and orders, and reads what the agents say in their keys. */
import { rmSync } from "node:fs";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import { systemRandom } from "fleetcron-shared/base/random";
import type { Alive, Claim, Dispatch, Order, Proc } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { type ExecutionRecord, outcomeWord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { createKeys, type Keys } from "fleetcron-shared/wire/keys";
import { startAgentProcess } from "./agent.ts";
import type { Daemon } from "./daemon.ts";
import { type EtcdServer, startEtcd } from "./etcd.ts";
import { evidenceScript, type Run, readEvidence } from "./evidence.ts";
import { eventually } from "./fleet.ts";
import { tempFolder } from "./processes.ts";

export const newId = createIdSource({ clock: systemClock, random: systemRandom });

type Meta = { readonly createdAt?: string; readonly updatedAt?: string; readonly submittedAt?: string };
type AgentMore = {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly wrapper?: readonly string[];
  readonly endpoint?: string;
};

export type AgentBench = {
  readonly etcd: EtcdServer;
  readonly kv: Kv;
  readonly keys: Keys;
  readonly folder: string;
  agent(node: string): Daemon;
  add(node: string, more?: AgentMore): Promise<Daemon>;
  /** Removes what a (killed) agent knows. */
  wipe(node: string): void;
  /** Writes the job's dispatch for each node, as a leader would; `meta` defaults to now. Returns the revision. */
  dispatch(nodes: string | readonly string[], job: string, spec: Partial<JobSpec>, meta?: Meta): Promise<number>;
  undispatch(nodes: string | readonly string[], job: string): Promise<void>;
  /** A run order; returns the id of its execution. */
  run(node: string, job: string, spec: Partial<JobSpec>, more?: Partial<Order & { type: "run" }>): Promise<string>;
  kill(node: string, execution: string, reason?: string): Promise<void>;
  put(key: string, value: string): Promise<number>;
  drain(node: string, drained: boolean): Promise<void>;
  /** Everything in the inboxes (nobody files here), oldest first. */
  records(job?: string): Promise<ExecutionRecord[]>;
  alive(node: string): Promise<Alive | undefined>;
  /** What runs and what waits on a node, as it tells. */
  onHand(node: string): Promise<number | undefined>;
  procs(node: string): Promise<Proc[]>;
  claims(job: string): Promise<Claim[]>;
  /** Runs that left evidence with `script`. */
  runs(): Run[];
  script(body?: string): string;
  file(name: string): string;
  /** Resolves when nothing runs or waits on any living agent. */
  idle(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** `words` of a record: job, attempt and outcome, for short comparisons. */
export function words(record: ExecutionRecord): string {
  return `${record.attempt}${record.finalAttempt ? "" : "…"} ${outcomeWord(record.outcome)}`;
}

/** The text that tells why a tick was skipped or ended. */
export function detailOf({ outcome }: ExecutionRecord): string {
  if (outcome.type === "killed") return `${outcome.by}: ${outcome.reason}`;
  return outcome.type === "skipped" ? (outcome.detail ?? "") : "";
}

export async function startAgentBench(
  options: {
    nodes?: readonly string[];
    args?: readonly string[];
    endpoint?: (etcd: EtcdServer) => string;
    etcd?: EtcdServer;
    prefix?: string;
  } = {},
): Promise<AgentBench> {
  const etcd = options.etcd ?? (await startEtcd());
  const temp = tempFolder();
  const kv = openEtcdKv({ endpoints: etcd.endpoints }, { clock: systemClock });
  const keys = createKeys(options.prefix);
  const agents = new Map<string, Daemon>();
  const file = temp.file("evidence");
  const parts = (job: string): [string, string] => [job.split("/")[0] ?? "", job.split("/")[1] ?? ""];
  const list = (nodes: string | readonly string[]) => (typeof nodes === "string" ? [nodes] : nodes);
  const full = (spec: Partial<JobSpec>): JobSpec => ({
    run: { command: { script: evidenceScript(file) } },
    rules: [{ mode: "cycle", timer: "* * * * * *" }],
    ...spec,
  });
  const decodeAll = async <T>(prefix: string) => (await kv.range(prefixRange(prefix))).kvs.map((entry) => JSON.parse(entry.value) as T);
  const put = async (key: string, value: string) => (await kv.txn({ then: [{ op: "put", key, value }] })).revision;
  const now = () => toIso(systemClock.now());

  const bench: AgentBench = {
    etcd,
    kv,
    keys,
    folder: temp.path,
    agent(node) {
      const agent = agents.get(node);
      if (agent === undefined) throw new Error(`no agent ${node}`);
      return agent;
    },
    async add(node, more = {}) {
      const agent = await startAgentProcess({
        etcd: [more.endpoint ?? options.endpoint?.(etcd) ?? etcd.endpoint],
        nodeId: node,
        folder: temp.path,
        sessionTtl: "3s",
        ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
        args: [...(options.args ?? []), ...(more.args ?? [])],
        ...(more.env === undefined ? {} : { env: more.env }),
        ...(more.wrapper === undefined ? {} : { wrapper: more.wrapper }),
      });
      agents.set(node, agent);
      return agent;
    },
    wipe: (node) => rmSync(temp.file(`data-${node}`), { recursive: true, force: true }),
    async dispatch(nodes, job, spec, meta = {}) {
      const [group, id] = parts(job);
      const whole = full(spec);
      const peers = (whole.kind ?? "common") === "common" ? [] : [...list(nodes)].sort();
      const revision = await put(`/other/${job}`, "");
      for (const node of list(nodes)) {
        const dispatch: Dispatch = {
          ...{ v: 1, group, id, revision, createdAt: now(), updatedAt: now(), submittedAt: now(), spec: whole },
          rules: Object.fromEntries(whole.rules.map((rule, index) => [rule.id ?? `r${index + 1}`, peers])),
          ...meta,
        };
        await put(keys.dispatch(node, group, id), JSON.stringify(dispatch));
      }
      return revision;
    },
    async undispatch(nodes, job) {
      for (const node of list(nodes)) await kv.txn({ then: [{ op: "delete", key: keys.dispatch(node, ...parts(job)) }] });
    },
    async run(node, job, spec, more = {}) {
      const [group, id] = parts(job);
      const execution = newId();
      const meta = { createdAt: now(), updatedAt: now(), submittedAt: now(), orderedAt: now() };
      const order: Order = {
        v: 1,
        type: "run",
        id: newId(),
        execution,
        group,
        job: id,
        revision: 1,
        ...meta,
        spec: full(spec),
        by: "test",
        ...more,
      };
      await put(keys.order(node, order.id), JSON.stringify(order));
      return order.execution;
    },
    async kill(node, execution, reason = "enough") {
      const order: Order = { v: 1, type: "kill", id: newId(), execution, by: "alice", reason, orderedAt: now() };
      await put(keys.order(node, order.id), JSON.stringify(order));
    },
    put,
    async drain(node, drained) {
      const info = JSON.parse((await kv.get(keys.node(node)))?.value ?? "{}");
      const { drain: _, ...rest } = info;
      await put(keys.node(node), JSON.stringify(drained ? { ...rest, drain: { by: "test", at: now() } } : rest));
    },
    async records(job) {
      const all = await decodeAll<ExecutionRecord>(keys.inbox);
      return all
        .filter((record) => job === undefined || `${record.jobGroup}/${record.jobId}` === job)
        .sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    async alive(node) {
      const found = await kv.get(keys.alive(node));
      return found && (JSON.parse(found.value) as Alive);
    },
    async onHand(node) {
      const alive = await bench.alive(node);
      return alive && alive.running + alive.queued;
    },
    procs: (node) => decodeAll<Proc>(`${keys.procs}${node}/`),
    claims: (job) => decodeAll<Claim>(keys.claimsOf(...parts(job))),
    runs: () => readEvidence(file),
    script: (body) => evidenceScript(file, body),
    file: (name) => temp.file(name),
    async idle() {
      for (const node of agents.keys())
        await eventually(`${node} has nothing on hand`, async () => {
          const alive = await bench.alive(node);
          return alive?.running === 0 && alive.queued === 0;
        });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...agents.values()].map((agent) => agent[Symbol.asyncDispose]()));
      await kv.close();
      if (options.etcd === undefined) await etcd.stop();
      temp[Symbol.dispose]();
    },
  };
  await Promise.all((options.nodes ?? ["n1"]).map((node) => bench.add(node)));
  return bench;
}
