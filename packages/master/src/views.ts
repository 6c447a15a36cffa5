/**
 * What a master holds of the cluster in memory: jobs, nodes, presence, processes, statistics and tokens, decoded once and shared by the API
 * and the leader's services. Records, claims and dispatches are not here: they grow with time or with jobs × nodes.
 * When etcd is away the last known state stays and `unready` says so.
 */

import type { ConsoleSession } from "fleetcron-shared/model/access";
import type { StoredChannel } from "fleetcron-shared/model/channel";
import type { Alive, GlobalValue, JobStats, LeaderInfo, NodeCondition, NodeInfo, Proc, TokenInfo } from "fleetcron-shared/model/facts";
import { effectiveLabels } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { StoredJob } from "fleetcron-shared/model/job-spec";
import type { StoredPipeline } from "fleetcron-shared/model/pipeline/pipeline-spec";
import type { KeyValue, Revision } from "fleetcron-shared/store/kv";
import type { MirrorDeps } from "fleetcron-shared/store/mirror";
import { openView, type View } from "fleetcron-shared/store/view";
import { decode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

export type JobEntry = { readonly stored: StoredJob; readonly job: Job };
export type NodeEntry = { readonly info: NodeInfo; readonly labels: Readonly<Record<string, string>>; readonly revision: Revision };
export type ProcEntry = { readonly node: string; readonly group: string; readonly job: string; readonly proc: Proc };
export type StatsEntry = { readonly stats: JobStats; readonly revision: Revision };

export type ChannelEntry = { readonly stored: StoredChannel; readonly revision: Revision };
export type GlobalEntry = GlobalValue & { readonly name: string; readonly revision: Revision };
export type ConditionEntry = NodeCondition & { readonly node: string; readonly type: string; readonly revision: Revision };

export type PipelineEntry = { readonly stored: StoredPipeline; readonly revision: Revision };

export type Views = {
  readonly jobs: View<JobEntry>;
  readonly nodes: View<NodeEntry>;
  readonly alive: View<Alive>;
  readonly procs: View<ProcEntry>;
  readonly stats: View<StatsEntry>;
  readonly globals: View<GlobalEntry>;
  readonly conditions: View<ConditionEntry>;
  readonly channels: View<ChannelEntry>;
  readonly pipelines: View<PipelineEntry>;
  readonly tokens: View<TokenInfo>;
  readonly sessions: View<ConsoleSession>;
  readonly leader: View<LeaderInfo>;
  /** Of all views. */
  readonly names: readonly string[];
  /** All first lists have been delivered. */
  readonly synced: Promise<void>;
  /** Names of the views that do not follow etcd now; empty when ready. */
  unready(): string[];
  close(): Promise<void>;
};

export function openViews(deps: MirrorDeps & { keys: Keys }): Views {
  const { keys } = deps;
  const views = {
    jobs: openView<JobEntry>(deps, { prefix: keys.jobs, decode: jobEntry }),
    nodes: openView<NodeEntry>(deps, { prefix: keys.nodes, decode: nodeEntry }),
    alive: openView<Alive>(deps, { prefix: keys.aliveAll, decode: (kv) => decode<Alive>(kv.key, kv.value) }),
    procs: openView<ProcEntry>(deps, { prefix: keys.procs, decode: (kv) => procEntry(keys, kv) }),
    stats: openView<StatsEntry>(deps, { prefix: keys.statsAll, decode: statsEntry }),
    globals: openView<GlobalEntry>(deps, { prefix: keys.globals, decode: (kv) => globalEntry(keys, kv) }),
    conditions: openView<ConditionEntry>(deps, { prefix: keys.conditions, decode: (kv) => conditionEntry(keys, kv) }),
    channels: openView<ChannelEntry>(deps, { prefix: keys.channels, decode: channelEntry }),
    pipelines: openView<PipelineEntry>(deps, { prefix: keys.pipelines, decode: pipelineEntry }),
    tokens: openView<TokenInfo>(deps, { prefix: keys.tokens, decode: (kv) => decode<TokenInfo>(kv.key, kv.value) }),
    sessions: openView<ConsoleSession>(deps, { prefix: keys.sessions, decode: (kv) => decode<ConsoleSession>(kv.key, kv.value) }),
    leader: openView<LeaderInfo>(deps, { prefix: keys.leader, decode: (kv) => decode<LeaderInfo>(kv.key, kv.value) }),
  };
  const all = Object.entries(views);
  const synced = Promise.all(all.map(([, view]) => view.synced)).then(() => {});
  synced.catch(() => {});
  return {
    ...views,
    names: Object.keys(views),
    synced,
    unready: () => all.filter(([, view]) => view.revision() === 0 || !view.live()).map(([name]) => name),
    close: async () => {
      await Promise.all(all.map(([, view]) => view.close()));
    },
  };
}

/** What is read of a key, or was just written to it. */
type Stored = Pick<KeyValue, "key" | "value" | "modRevision">;

/** The job of a stored value. */
export function jobEntry(kv: Stored): JobEntry {
  const stored = decode<StoredJob>(kv.key, kv.value);
  return { stored, job: compileJob({ ...stored, revision: kv.modRevision }, stored.spec) };
}

/** The node of a stored value. */
export function nodeEntry(kv: Stored): NodeEntry {
  const info = decode<NodeInfo>(kv.key, kv.value);
  return { info, labels: effectiveLabels(info), revision: kv.modRevision };
}

export function channelEntry(kv: Stored): ChannelEntry {
  return { stored: decode<StoredChannel>(kv.key, kv.value), revision: kv.modRevision };
}

export function pipelineEntry(kv: Stored): PipelineEntry {
  return { stored: decode<StoredPipeline>(kv.key, kv.value), revision: kv.modRevision };
}

export function statsEntry(kv: Stored): StatsEntry {
  return { stats: decode<JobStats>(kv.key, kv.value), revision: kv.modRevision };
}

export function globalEntry(keys: Keys, kv: Stored): GlobalEntry {
  return { ...decode<GlobalValue>(kv.key, kv.value), name: keys.parts(kv.key)[1] ?? "", revision: kv.modRevision };
}

function conditionEntry(keys: Keys, kv: KeyValue): ConditionEntry | undefined {
  const [, node, type] = keys.parts(kv.key);
  if (node === undefined || type === undefined) return undefined;
  return { ...decode<NodeCondition>(kv.key, kv.value), node, type, revision: kv.modRevision };
}

function procEntry(keys: Keys, kv: KeyValue): ProcEntry | undefined {
  const [, node, group, job] = keys.parts(kv.key);
  if (node === undefined || group === undefined || job === undefined) return undefined;
  return { node, group, job, proc: decode<Proc>(kv.key, kv.value) };
}
