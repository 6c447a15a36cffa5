/**
 * The agent, wired: watch → plan → fire → run → report. Nothing is decided here. Clean-up runs last in, first out.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "fleetcron-shared/base/clock";
import { toIso } from "fleetcron-shared/base/clock";
import { createIdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import { Cleanup } from "fleetcron-shared/base/service";
import type { ClusterMeta, NodeInfo } from "fleetcron-shared/model/facts";
import type { Kv } from "fleetcron-shared/store/kv";
import { openSession } from "fleetcron-shared/store/session";
import { openView } from "fleetcron-shared/store/view";
import { tryDecode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import type { AgentConfig } from "./config.ts";
import { Gate } from "./fire/gate.ts";
import { Leftovers } from "./fire/leftovers.ts";
import { carryOut, type OrderDeps } from "./fire/orders.ts";
import { resumeProcesses, resumeWaits } from "./fire/resume.ts";
import { Ticker } from "./fire/ticker.ts";
import { deriveNodeId } from "./host.ts";
import { HOST_PARTS, type HostParts } from "./host-parts.ts";
import { openDiskGuard } from "./logs/disk-guard.ts";
import { openShowings } from "./logs/showings.ts";
import { openMetrics } from "./metrics/follow.ts";
import { Planner } from "./plan/planner.ts";
import { Schedules } from "./plan/schedules.ts";
import { openPolicy } from "./policy/policy.ts";
import { ClaimLeases } from "./report/claim-leases.ts";
import { keepHeartbeat } from "./report/heartbeat.ts";
import { Outbox } from "./report/outbox.ts";
import { keepRegistering, Presence, refuseDuplicate, registerNode } from "./report/presence.ts";
import { Procs } from "./report/procs.ts";
import { Writer } from "./report/writer.ts";
import { Executions } from "./run/executions.ts";
import { PendingStarts } from "./run/pending-starts.ts";
import { recoverExecutions } from "./run/recover.ts";
import { Slots } from "./run/slots.ts";
import { openNodeKey } from "./secrets/node-key.ts";
import { openSecrets } from "./secrets/secrets.ts";
import type { PassPoint } from "./spawner/kill-points.ts";
import { watchDispatches } from "./watch/dispatches.ts";
import { watchOrders } from "./watch/orders.ts";

export type AgentDeps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly version: string;
  readonly own: { readonly pid: number; readonly uid: number; readonly gid: number };
  /** The agent's environment: jobs may take secrets from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly passPoint: PassPoint;
  /** Default: the real host. */
  readonly parts?: HostParts;
};
export type Agent = {
  readonly nodeId: string;
  /** Rejects when the agent cannot go on: another one came alive under its id while it was cut off. */
  readonly failed: Promise<never>;
  /** Reads the host's policy again. */
  reload(): void;
  stop(): Promise<void>;
};

/** When the agent stops, the last records get so long to reach etcd; the journal has them anyway. */
const FLUSH_MS = 2000;

/** Starts the agent; resolves when it is registered and knows its jobs. */
export async function startAgent(deps: AgentDeps, config: AgentConfig): Promise<Agent> {
  const { clock, random, version, passPoint } = deps;
  const { readHost, openJournal, openSupervisor, openUsers, keepLogsSmall } = deps.parts ?? HOST_PARTS;
  const metrics = await openMetrics(deps, config.metrics);
  const { kv } = metrics;
  const cleanup = new Cleanup();
  const stopping = new AbortController();
  cleanup.add(() => stopping.abort());
  try {
    const policy = openPolicy(deps, { file: config.policyFile });
    const host = readHost(version);
    const keys = createKeys(config.prefix);
    const journal = openJournal(deps, config.dataDir);
    cleanup.add(() => journal.close());
    const nodeKey = openNodeKey(config.dataDir);
    const nodeId = config.nodeId ?? journal.meta("nodeId") ?? deriveNodeId();
    const log = deps.log.child({ node: nodeId });
    const newId = createIdSource(deps);
    const instance = newId();
    const startedMs = clock.now();
    const lastPlanned = journal.meta("lastPlanned");

    const executions = new Executions({ journal, bootId: host.bootId, passPoint });
    const session = openSession({ kv, clock, random, log }, { ttlMs: config.sessionTtlMs });
    // Locks of executions that go on without the agent must outlive it as long as they are trusted: the next agent carries them over.
    const holdsLocks = () => executions.all().some(({ lock }) => lock !== undefined);
    cleanup.add(() => session.close({ keepLease: holdsLocks() }));
    const starts = new PendingStarts();
    const writer = new Writer({ kv, clock, random, log, calm: () => starts.calm(clock) });
    cleanup.add(() => writer.close());
    const presenceDeps = { kv, clock, keys, session, writer, log };
    await refuseDuplicate(presenceDeps, { nodeId, formerInstance: journal.meta("instance"), waitMs: config.sessionTtlMs + 3000 });
    journal.setMeta("instance", instance);
    journal.setMeta("nodeId", nodeId);
    journal.commit();
    const identity = {
      id: nodeId,
      hostname: host.hostname,
      addresses: host.addresses,
      agentLabels: { ...host.labels, ...config.labels },
      capacity: config.capacity,
      version,
      startedAt: toIso(startedMs),
      bootId: host.bootId,
      pid: deps.own.pid,
      publicKey: nodeKey.publicKey,
    };
    const node = await registerNode({ kv, keys }, identity);

    const secrets = openSecrets({ kv, clock, random, log, keys, env: deps.env }, { nodeId, key: nodeKey });
    cleanup.add(() => secrets.close());

    const leases = new ClaimLeases({ kv, clock });
    cleanup.add(() => leases.close());
    const outbox = new Outbox({ kv, clock, journal, writer, leases, keys, passPoint });
    cleanup.add(() => outbox.close());
    cleanup.add(() => writer.flush(FLUSH_MS));
    const procs = new Procs({ clock, keys, session, writer }, { nodeId, thresholdMs: config.procThresholdMs });
    const supervisor = await openSupervisor(
      { clock, log },
      { folder: join(config.dataDir, "spawner"), version, bootId: host.bootId, cgroup: config.cgroup },
    );
    cleanup.add(() => supervisor.close({ stopExecutions: config.stopExecutions }));
    cleanup.add(() => holdsLocks() && session.renew());
    session.onRenewed((trustedUntil) => supervisor.extendAll(trustedUntil));
    // What ran under locks of a session that is over must not live on the renewals of the next one.
    session.onChange((incarnation) => {
      if (incarnation === undefined) supervisor.extendAll(clock.mono());
    });

    const meta = await kv.get(keys.meta);
    const timezone = (meta && tryDecode<ClusterMeta>(keys.meta, meta.value)?.timezone) ?? "UTC";
    const planner = new Planner(
      { schedules: new Schedules(() => timezone), states: journal },
      {
        nodeId,
        bootId: host.bootId,
        nodeCreatedMs: Date.parse(node.createdAt),
        startedMs,
        lastPlannedMs: lastPlanned === undefined ? undefined : Number(lastPlanned),
      },
    );
    const slots = new Slots(config.capacity);
    const self = openView<NodeInfo>(
      { kv, clock, random, log },
      {
        prefix: keys.node(nodeId),
        decode: (entry) => (entry.key === keys.node(nodeId) ? tryDecode<NodeInfo>(entry.key, entry.value) : undefined),
      },
    );
    cleanup.add(() => self.close());
    const isRegistered = () => self.get(keys.node(nodeId)) !== undefined;
    const registerAgain = () => keepRegistering(presenceDeps, { identity, createdAt: node.createdAt, isRegistered, stop: stopping.signal });
    const recordHost = { nodeId, hostname: host.hostname };
    const execDir = join(config.dataDir, "exec");
    mkdirSync(execDir, { recursive: true });
    // Commands of other users reach their own result files; nobody else lists the folder.
    chmodSync(execDir, 0o711);
    const disk = await openDiskGuard({ clock, log }, config.dataDir, config.minFreeBytes);
    cleanup.add(() => disk.close());
    const maskerOf = (attempt: string) => secrets.maskerOf(attempt).log;
    const showings = openShowings(
      {
        ...{ kv, clock, log, keys, nodeId, execDir },
        activeOf: (id) => executions.get(id),
        maskerOf,
      },
      config.logBytesPerSecond,
    );
    cleanup.add(() => showings.close());
    const prepareDeps = { users: openUsers({ clock }), policy, secrets, own: deps.own, nodeId, dataDir: config.dataDir, execDir };
    const resumed = await recoverExecutions({
      ...prepareDeps,
      ...{ kv, clock, log, keys, journal, outbox, executions, supervisor, host: recordHost, bootId: host.bootId },
      absenceMs: lastPlanned === undefined ? Number.POSITIVE_INFINITY : startedMs - Number(lastPlanned),
    });
    supervisor.settle();
    outbox.resume();
    // What is adopted is known by now: its files stay.
    const retention = { maxAgeMs: config.logRetentionMs, maxBytes: config.logBytes };
    cleanup.add(keepLogsSmall({ clock, log, maskerOf }, execDir, retention, (id) => executions.get(id) !== undefined));

    // Until the plan is known, nothing that goes on has changed as far as anybody here can tell.
    let knowsPlan = false;
    const planKnown = Promise.withResolvers<void>();
    const isCurrentJob: OrderDeps["isCurrentJob"] = (job) => {
      if (!knowsPlan) return true;
      const planned = planner.get(job.key);
      return planned?.revision === job.revision && !planned.pause;
    };
    const gateDeps: OrderDeps = {
      ...prepareDeps,
      kv,
      clock,
      random,
      log,
      keys,
      session,
      supervisor,
      journal,
      executions,
      procs,
      starts,
      passPoint,
      outbox,
      slots,
      host: recordHost,
      leases,
      leftovers: new Leftovers({ kv, clock, keys, log, executions, stopping: stopping.signal }),
      newId,
      planner,
      planChanged: () => ticker.planChanged(),
      isDraining: () => self.get(keys.node(nodeId))?.drain !== undefined,
      diskRefusal: () => disk.refusal() ?? journal.refusal,
      logs: showings,
      isCurrentJob,
      stopping: stopping.signal,
      isCurrent: (execution) => execution.origin.type === "order" || isCurrentJob(execution.job),
      onSuccess(execution) {
        void planKnown.promise.then(() => planner.succeeded(execution.job, execution.origin.ruleId));
      },
    };
    resumeProcesses(gateDeps, resumed);
    const gate = new Gate(gateDeps);
    const ticker = new Ticker({ clock, planner }, (due) => {
      metrics.due(due);
      gate.pass(due);
    });
    cleanup.add(() => ticker.stop());

    const dispatches = watchDispatches({ kv, clock, random, log, keys, planner }, nodeId, () => {
      executions.planChanged();
      ticker.planChanged();
      void starts.settled().then(() => presence.changed());
    });
    cleanup.add(() => dispatches.close());
    self.onChange(() => {
      if (isRegistered()) presence.changed();
      else void registerAgain();
    });
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    const queued = () => Math.max(0, executions.size - slots.used) + gate.held;
    const presence: Presence = new Presence(
      presenceDeps,
      { id: nodeId, instance, startedAt: toIso(startedMs) },
      {
        state: () => ({
          running: slots.used,
          queued: queued(),
          ...(gateDeps.isDraining() ? { draining: true } : {}),
          observedRevision: dispatches.revision(),
        }),
        onDuplicate: failed.reject,
      },
    );
    const { capacity } = config;
    const state = () => ({ running: slots.used, capacity, queued: queued(), jobs: planner.size, draining: gateDeps.isDraining() });
    cleanup.add(await metrics.follow({ identity: { version, node: nodeId }, startedMs, outbox, procs, session, state }));
    executions.onChanged = () => presence.countsChanged();
    slots.onChanged = () => presence.countsChanged();
    await presence.announce();
    cleanup.add(() => presence.close());
    await Promise.all([dispatches.synced, self.synced, secrets.synced]);
    knowsPlan = true;
    planKnown.resolve();
    executions.planChanged();
    journal.forgetRules((jobKey) => planner.get(jobKey) !== undefined, clock.now());
    resumeWaits(gateDeps, resumed);
    ticker.start();
    // What is due by now but not taken yet has not been planned.
    const plannedUntil = () => Math.min(clock.now(), (planner.nextAtMs() ?? Number.POSITIVE_INFINITY) - 1);
    cleanup.add(keepHeartbeat(clock, () => journal.setMeta("lastPlanned", String(plannedUntil()))));
    const orders = watchOrders({ kv, clock, random, log, keys, journal }, nodeId, (order) => carryOut(gateDeps, order), showings.end);
    cleanup.add(() => orders.close());
    await orders.synced;
    cleanup.add(() => stopping.abort());
    log.info({ jobs: planner.size, prefix: config.prefix }, "agent is ready");
    return { nodeId, failed: failed.promise, reload: () => policy.reload(), stop: () => cleanup.run() };
  } catch (thrown) {
    await cleanup.run().catch(() => {});
    throw thrown;
  }
}
