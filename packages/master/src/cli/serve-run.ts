/** What `fleetcron serve` does: reads the settings, runs a master until it is told to stop. */
import { resolve } from "node:path";
import { loadConfig, renderConfig } from "fleetcron-shared/base/config-file";
import { asError } from "fleetcron-shared/base/errors";
import { openKillPoints } from "fleetcron-shared/base/kill-points";
import { createLog, type Log } from "fleetcron-shared/base/log";
import { SECRET_SETTINGS } from "fleetcron-shared/base/settings";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { etcdOptionsOf } from "fleetcron-shared/store/etcd-options";
import { masterConfig, masterSettings } from "../config.ts";
import { ADMIN_TOKEN_FILE, writeWhole } from "../first-start.ts";
import type { KillPoint } from "../kill-points.ts";
import { type Master, startMaster } from "../master.ts";
import type { Context } from "./context.ts";

const ENV_PREFIX = "FLEETCRON_MASTER_";
const DEFAULT_FILE = "/etc/fleetcron/master.yaml";

/** `flags` are those of serve.ts, by the names of the settings. */
export async function serve({ io, clock, random }: Context, flags: Record<string, unknown>): Promise<void> {
  const settings = loadConfig({
    schema: masterSettings,
    file: typeof flags.config === "string" ? flags.config : undefined,
    defaultFile: DEFAULT_FILE,
    env: io.env,
    flags,
    envPrefix: ENV_PREFIX,
    program: "fleetcron serve",
  });
  if (flags.printConfig === true) return io.out(renderConfig(settings, SECRET_SETTINGS));
  const config = {
    ...masterConfig(settings),
    dataDir: resolve(io.cwd, settings.dataDir),
    notifySecretsDir: resolve(io.cwd, settings.notifySecretsDir),
  };
  const log = createLog({ level: settings.logLevel, name: "fleetcron-master" });
  const stopped = Promise.withResolvers<NodeJS.Signals>();
  io.onSignal(["SIGTERM", "SIGINT"], stopped.resolve);
  const passPoint = openKillPoints<KillPoint>(io.env.FLEETCRON_KILL_AT);
  const kv = openEtcdKv(etcdOptionsOf(settings), { clock });
  try {
    const master = await startMaster({ kv, clock, random, log, version: io.version, env: io.env, passPoint }, config);
    announce(io.out, master, config.dataDir);
    io.onSignal(["SIGHUP"], () => reload(log, master));
    if (settings.readyFile !== undefined) {
      const { url, token, name } = master;
      writeWhole(
        resolve(io.cwd, settings.readyFile),
        `${JSON.stringify({ url, token, etcd: settings.etcd, master: name, pid: process.pid })}\n`,
        0o600,
      );
    }
    const signal = await stopped.promise;
    log.info({ signal }, "master is stopping");
    await master.stop();
  } finally {
    await kv.close();
  }
}

/** What is wrong with the new certificate is told; the one before stays. */
function reload(log: Log, master: Master): void {
  try {
    if (master.reload()) log.info({}, "the certificate was read again; other settings need a restart");
    else log.warn({}, "SIGHUP reloads the certificate, and none is configured; other settings need a restart");
  } catch (error) {
    log.error({ err: asError(error) }, "the certificate was not taken; the one before stays");
  }
}

function announce(out: (text: string) => void, master: Master, dataDir: string): void {
  out(`fleetcron serve: master ${master.name} of cluster ${master.cluster} at ${master.url}\n`);
  if (master.token === undefined) return;
  out(`The admin token of this cluster, shown only now and kept in ${resolve(dataDir, ADMIN_TOKEN_FILE)}:\n  ${master.token}\n`);
}
