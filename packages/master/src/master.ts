/**
 * A master, wired: views of etcd, the API on top of them, and the leader's services under an election. Starting needs etcd; later, while etcd
 * is away, the API reads from memory, refuses writes, and nobody leads.
 */
import { hostname } from "node:os";
import { type Clock, toIso } from "fleetcron-shared/base/clock";
import { makeDataDir } from "fleetcron-shared/base/data-dir";
import { createIdSource } from "fleetcron-shared/base/ids";
import type { Log } from "fleetcron-shared/base/log";
import type { Random } from "fleetcron-shared/base/random";
import { Cleanup } from "fleetcron-shared/base/service";
import { createMetrics } from "fleetcron-shared/metrics/registry";
import type { LeaderInfo } from "fleetcron-shared/model/facts";
import type { Kv } from "fleetcron-shared/store/kv";
import { openSession } from "fleetcron-shared/store/session";
import { createKeys } from "fleetcron-shared/wire/keys";
import { readClientSecret } from "./access/oidc-setting.ts";
import type { MasterConfig } from "./config.ts";
import { ensureAdminToken, ensureCluster } from "./first-start.ts";
import { startHistory } from "./history/start.ts";
import { createServer, listen, reloadTls } from "./http/server.ts";
import { readTls } from "./http/tls.ts";
import type { PassPoint } from "./kill-points.ts";
import { startLeading } from "./leading.ts";
import { measuredKv, observeInto, readInto } from "./metrics/follow.ts";
import { MASTER_METRICS } from "./metrics/table.ts";
import { createSender } from "./notify/sender.ts";
import { openEvents } from "./ops/events.ts";
import { openFileChecker } from "./ops/file-checker.ts";
import { openLogStreams } from "./ops/log-streams.ts";
import { createOrderLease } from "./ops/order-lease.ts";
import { openHooks } from "./ops/receive-hook.ts";
import { createTimetable } from "./timetable.ts";
import { openViews } from "./views.ts";

export type Master = {
  /** Where the API is. */
  readonly url: string;
  readonly name: string;
  readonly cluster: string;
  /** The admin token, when this start has made it. */
  readonly token: string | undefined;
  /** Reads the certificate again; false when there is none to read. Throws `config/invalid`, and goes on with the one before. */
  reload(): boolean;
  /** Gives leadership up, then ends everything. Idempotent. */
  stop(): Promise<void>;
};

export type MasterDeps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly version: string;
  /** The variables among which channels find their secrets. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For tests. */
  readonly passPoint?: PassPoint;
};

/** Resolves when the master serves and has read the state of the cluster. Does not close `kv`. */
export async function startMaster(deps: MasterDeps, config: MasterConfig): Promise<Master> {
  const { clock, log, passPoint = () => {} } = deps;
  const metrics = createMetrics(MASTER_METRICS);
  const kv = measuredKv(deps.kv, clock, metrics);
  const keys = createKeys(config.prefix);
  const newId = createIdSource(deps);
  const cleanup = new Cleanup();
  // What is wrong with them is told before anything is opened.
  if (config.tls !== undefined) readTls(config.tls);
  const oidc = config.oidc === undefined ? undefined : { config: config.oidc, secret: readClientSecret(config.oidc) };
  try {
    makeDataDir(config.dataDir, { mode: 0o700, program: "master" });
    const meta = await ensureCluster({ ...deps, keys, newId }, config.dataDir, config.timezone);
    if (meta.timezone !== config.timezone)
      log.warn({ cluster: meta.timezone, configured: config.timezone }, "the cluster keeps its own default time zone");
    const views = openViews({ ...deps, keys });
    cleanup.add(views.close);
    const orderLease = createOrderLease(deps);
    const timetable = createTimetable(meta.timezone);
    const fileChecker = openFileChecker(deps);
    cleanup.add(fileChecker.close);
    const session = openSession(deps, { ttlMs: config.sessionTtlMs });
    cleanup.add(session.close);
    const logStreams = openLogStreams({ ...deps, keys, newId, views, session });
    const send = createSender(deps, config);
    let isLeading = () => false;
    const archive = startHistory({ ...deps, keys }, config, { cluster: meta.cluster, isLeading: () => isLeading() });
    if (archive !== undefined) cleanup.add(archive.close);
    const ops = {
      kv,
      keys,
      clock,
      log,
      random: deps.random,
      newId,
      views,
      timetable,
      orderLease,
      fileChecker,
      logStreams,
      send,
      passPoint,
      archive,
      missedAfterMs: config.missedAfterMs,
    };

    let hasStarted = false;
    const about = { name: config.name ?? "" };
    const system = {
      ...{ kv, keys, views, version: deps.version, cluster: meta.cluster, timezone: meta.timezone, etcdEndpoints: config.etcdEndpoints },
      get master() {
        return about.name;
      },
      isLeading: () => isLeading(),
      hasStarted: () => hasStarted,
      archive,
    };
    const hooks = openHooks({ ...ops, secrets: { env: deps.env ?? {}, secretsDir: config.notifySecretsDir } });
    const events = openEvents(ops);
    let eventReaders = () => 0;
    const onReaders = (count: () => number) => {
      eventReaders = count;
    };
    const named = { version: deps.version, cluster: meta.cluster, master: () => about.name };
    readInto(metrics, { about: named, views, isLeading: () => isLeading(), eventReaders: () => eventReaders() });
    cleanup.add(events.close);
    const { tls, sessionTimes } = config;
    const app = createServer({
      log,
      ops,
      system,
      hooks,
      events,
      limits: config.limits,
      ...{ metrics, onReaders },
      access: { times: sessionTimes, tls, publicUrl: config.publicUrl, oidc },
    });
    const port = await listen(app, config);
    cleanup.add(() => app.close());
    cleanup.add(logStreams.close);
    // Readers of events are let go before the server waits for its connections to end.
    cleanup.add(events.close);
    about.name = config.name ?? `${hostname()}-${port}`;
    const url = `${tls === undefined ? "http" : "https"}://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;

    await views.synced;
    const token = await ensureAdminToken({ ...deps, keys, newId }, config.dataDir);
    if (token !== undefined) await views.tokens.reached((await kv.get(keys.token("admin")))?.modRevision ?? 0);
    const self: LeaderInfo = { v: 1, master: about.name, since: toIso(clock.now()), address: url };
    const { lostAfterMs, missedAfterMs, auditRetentionMs } = config;
    const leading = startLeading(
      { ...ops, session, hold: archive?.hold, observe: observeInto(metrics, clock) },
      { lostAfterMs, missedAfterMs, auditRetentionMs, timezone: meta.timezone },
      self,
    );
    isLeading = leading.isLeading;
    cleanup.add(leading.stop);
    await orderLease.current();
    hasStarted = true;
    return {
      ...{ url, name: about.name, cluster: meta.cluster, token },
      reload() {
        if (tls !== undefined) reloadTls(app, tls);
        return tls !== undefined;
      },
      stop: () => cleanup.run(),
    };
  } catch (error) {
    await cleanup.run().catch(() => {});
    throw error;
  }
}
