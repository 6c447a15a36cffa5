/** What must hold of a fleet after the last heal, soon and when nothing more is to do. */
import type { Alive, Dispatch } from "fleetcron-shared/model/facts";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import { type Kv, prefixRange } from "fleetcron-shared/store/kv";
import { decode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { SimHost } from "./host.ts";
import type { SimMaster } from "./master-process.ts";

type World = { readonly kv: Kv; readonly keys: Keys; readonly hosts: readonly SimHost[]; readonly masters: readonly SimMaster[] };

/** What has not come together yet: nodes, leader, dispatches, plans. */
export async function unconverged({ kv, keys, hosts, masters }: World): Promise<string[]> {
  const wrong: string[] = [];
  const alive = new Map<string, Alive>();
  for (const entry of await list(kv, keys.aliveAll)) alive.set(keys.parts(entry.key)[1] ?? "", decode<Alive>(entry.key, entry.value));
  for (const { id } of hosts) if (!alive.has(id)) wrong.push(`node ${id} is not online`);
  const leading = masters.filter(({ isLeading }) => isLeading).length;
  if (leading !== 1) wrong.push(`${leading} masters lead`);
  const jobs = new Map((await list(kv, keys.jobs)).map((entry) => [keys.parts(entry.key).slice(1).join("/"), entry]));
  const dispatches = await list(kv, keys.dispatches);
  const seen = new Set<string>();
  for (const entry of dispatches) {
    const [, node = "", group, id] = keys.parts(entry.key);
    const job = `${group}/${id}`;
    seen.add(`${node} ${job}`);
    const form = decode<Dispatch>(entry.key, entry.value);
    if (form.revision !== jobs.get(job)?.modRevision) wrong.push(`the dispatch of ${job} to ${node} is of revision ${form.revision}`);
    if ((alive.get(node)?.observedRevision ?? 0) < entry.modRevision) wrong.push(`node ${node} does not know ${job} yet`);
  }
  for (const [job, entry] of jobs) {
    const targets = decode<StoredJob>(entry.key, entry.value).spec.rules[0]?.target?.nodes ?? hosts.map(({ id }) => id);
    for (const node of targets) if (!seen.has(`${node} ${job}`)) wrong.push(`${job} is not dispatched to ${node}`);
  }
  return wrong;
}

/** What still goes on although nothing is due. */
export async function unquiet({ kv, keys, hosts }: World): Promise<string[]> {
  const wrong: string[] = [];
  for (const prefix of [keys.procs, keys.inbox, keys.unfinishedAll, keys.requests, keys.locks])
    for (const { key } of await list(kv, prefix)) if (!key.endsWith("/last")) wrong.push(`there is ${key}`);
  for (const entry of await list(kv, keys.aliveAll)) {
    const { node, running, queued } = decode<Alive>(entry.key, entry.value);
    if (running + queued > 0) wrong.push(`${node} says that ${running} run and ${queued} wait`);
  }
  for (const host of hosts) {
    const { executions = 0, outbox = 0 } = host.journal.counts();
    if (executions > 0) wrong.push(`the journal of ${host.id} has ${executions} executions`);
    if (outbox > 0) wrong.push(`the journal of ${host.id} has ${outbox} records that are not delivered`);
    if (host.runs.size > 0) wrong.push(`the spawner of ${host.id} remembers ${[...host.runs.keys()].join(", ")}`);
  }
  return wrong;
}

async function list(kv: Kv, prefix: string) {
  return (await kv.range(prefixRange(prefix))).kvs;
}
