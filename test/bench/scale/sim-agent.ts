/**
 * An agent without processes: what it costs etcd and the masters is the real thing (its own connection, session lease, presence, the four watches,
 * the writer with its batches), what it costs this host is little. Dispatches are taken in and counted, orders are looked at, records are made up.
 */

import { Presence, registerNode } from "fleetcron-agent/report/presence";
import { Writer } from "fleetcron-agent/report/writer";
import { type Clock, toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import { silentLog } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { absent } from "fleetcron-shared/store/kv";
import { openMirror } from "fleetcron-shared/store/mirror";
import { openSession } from "fleetcron-shared/store/session";
import { encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";

export type SimAgent = {
  /** How many dispatches it holds. */
  readonly held: number;
  /** When the last one came or went. */
  readonly changedMs: number;
  /** Records that are not in etcd yet. */
  readonly waiting: number;
  /** Hands in a record of one of its jobs, as after an attempt that has just ended. False when it has none. */
  post(): boolean;
  close(): Promise<void>;
};

export type SimAgentOptions = {
  readonly etcd: string;
  readonly nodeId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sessionTtlMs: number;
};

const OUTPUT = "2026-01-01T00:00:00Z backup of 17 tables done, 1234567 rows copied\nok\n";

export async function startSimAgent(deps: { clock: Clock; random: Random }, options: SimAgentOptions): Promise<SimAgent> {
  const { clock, random } = deps;
  const { etcd, nodeId, labels, sessionTtlMs } = options;
  const log = silentLog;
  const keys = createKeys();
  const newId = createIdSource(deps);
  const kv = openEtcdKv({ endpoints: [etcd], connection: nodeId, callTimeoutMs: 30_000 }, { clock });
  const startedAt = toIso(clock.now());
  const host = {
    hostname: `${nodeId}.example`,
    addresses: ["127.0.0.1"],
    capacity: 64,
    version: "0",
    bootId: "simulated",
    pid: process.pid,
  };
  await registerNode({ kv, keys }, { id: nodeId, ...host, agentLabels: labels, startedAt });
  const session = openSession({ kv, clock, random, log }, { ttlMs: sessionTtlMs });
  const writer = new Writer({ kv, clock, random, log, calm: async () => {} });
  const jobs: string[] = [];
  const held = new Set<string>();
  let changedMs = 0;
  let turn = 0;
  let waiting = 0;
  const dispatches = openMirror(
    { kv, clock, random, log },
    {
      prefix: keys.dispatchesOf(nodeId),
      onEvents(events) {
        changedMs = clock.now();
        for (const event of events) {
          const key = event.type === "put" ? event.kv.key : event.key;
          if (event.type === "delete") held.delete(key);
          else if (!held.has(key)) jobs.push(key);
          if (event.type === "put") held.add(key);
        }
        presence.changed();
      },
    },
  );
  const state = () => ({ running: 0, queued: 0, observedRevision: dispatches.revision() });
  const presence = new Presence(
    { kv, clock, keys, session, writer, log },
    { id: nodeId, instance: newId(), startedAt },
    { state, onDuplicate() {} },
  );
  const others = [keys.ordersOf(nodeId), keys.node(nodeId), keys.boxesOf(nodeId)].map((prefix) =>
    openMirror({ kv, clock, random, log }, { prefix, onEvents() {} }),
  );
  await presence.announce();
  await Promise.all([dispatches.synced, ...others.map(({ synced }) => synced)]);

  function record(jobGroup: string, jobId: string): ExecutionRecord {
    const execution = newId();
    const now = clock.now();
    return {
      ...{
        v: 1,
        id: `${execution}-1`,
        execution,
        jobGroup,
        jobId,
        jobRevision: 1,
        attempt: 1,
        finalAttempt: true,
        nodeId,
        hostname: host.hostname,
      },
      ...{ ruleId: "r1", dueAt: toIso(now - 25), beginTime: toIso(now - 20), endTime: toIso(now), durationMs: 20, skewMs: 5, pid: 4711 },
      ...{
        name: `job ${jobId}`,
        command: `/usr/local/bin/do-something --job ${jobId} --quiet`,
        success: true,
        outcome: { type: "exit", code: 0 },
      },
      output: { tail: OUTPUT, cutBytes: 0, totalBytes: OUTPUT.length },
      usage: { userMs: 5, systemMs: 3, maxRssBytes: 4_000_000 },
      isHandled: false,
    } as unknown as ExecutionRecord;
  }

  return {
    get held() {
      return held.size;
    },
    get changedMs() {
      return changedMs;
    },
    get waiting() {
      return waiting;
    },
    post() {
      const [, , group, id] = keys.parts(jobs[turn++ % jobs.length] ?? "");
      if (group === undefined || id === undefined) return false;
      const made = record(group, id);
      const key = keys.inboxRecord(nodeId, made.id);
      waiting += 1;
      writer.submit({ if: [absent(key)], then: [{ op: "put", key, value: encode(made) }], onSettled: () => (waiting -= 1) });
      return true;
    },
    async close() {
      await Promise.all([dispatches, ...others].map((mirror) => mirror.close()));
      await writer.close();
      await session.close();
      await kv.close();
    },
  };
}
