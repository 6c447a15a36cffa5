/**
 * `fleetcron up`: a private etcd (unless one is named), a master and agents as child processes, until Ctrl-C or SIGTERM. They are ended in
 * the reverse order, each by its own pid. A master or agent that dies is started again after a growing pause; without its private etcd
 * there is nothing left to run, so `up` ends. A child that ends before all are ready is an error in what was asked, and ends `up` too.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { backoffMs } from "fleetcron-shared/base/backoff";
import type { ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError, asError } from "fleetcron-shared/base/errors";
import { Cleanup } from "fleetcron-shared/base/service";
import { createApiClient } from "../client/api.ts";
import { createRest } from "../client/rest.ts";
import { type Child, type ChildSpec, type Ended, endText, lastWords, parentDeathCommand, startChild } from "./child.ts";
import type { Context } from "./context.ts";
import { ADMIN_TOKEN_FILE, dataDirOf } from "./settings.ts";
import { checkFree, freePorts, planEtcd } from "./up-etcd.ts";
import { lockDataDir } from "./up-lock.ts";

export type UpOptions = {
  readonly agents: number;
  readonly listen: string;
  readonly allowRemote?: boolean;
  readonly etcd?: readonly string[];
  readonly prefix: string;
  readonly dataDir?: string;
  readonly nodeName: string;
  readonly readyFile?: string;
};

const READY_MS = 60_000;
const POLL_MS = 50;
const STOP_GRACE_MS = 10_000;
const RESTART = { firstMs: 1000, maxMs: 30_000 };
/** A child that lived this long starts with a short pause again. */
const STEADY_MS = 60_000;

/** Thrown to leave the start when Ctrl-C comes during it. */
const INTERRUPTED = new Error("interrupted");

export async function up(context: Context, options: UpOptions): Promise<void> {
  try {
    await runAll(context, options);
  } catch (thrown) {
    if (thrown !== INTERRUPTED) throw thrown;
  }
}

async function runAll(context: Context, options: UpOptions): Promise<void> {
  const { io, clock } = context;
  const dataDir = resolve(io.cwd, options.dataDir ?? dataDirOf(io.env));
  const readyFile = options.readyFile === undefined ? undefined : resolve(io.cwd, options.readyFile);
  const { host, port } = await listenAddress(options.listen);
  await using cleanup = new Cleanup();
  makeFolder(dataDir);
  cleanup.add(lockDataDir(dataDir));

  const run = createRun(context, cleanup);
  let etcd = options.etcd;
  if (etcd === undefined) {
    const plan = await planEtcd(io, dataDir);
    etcd = [plan.url];
    run.start([plan.spec], "once");
    await run.until("etcd serves", async () => (await fetch(`${plan.url}/health`)).ok);
  }
  const url = `http://${host === "0.0.0.0" ? "127.0.0.1" : host === "[::]" ? "[::1]" : host}:${port}`;
  run.start([masterSpec(context, options, { dataDir, etcd, listen: `${host}:${port}` })], "always");
  const anonymous = createApiClient(createRest({ clock, fetch }, { server: url, token: undefined }));
  await run.until("the master is ready", async () => (await anonymous.ready()).status === "ok");

  const nodes = Array.from({ length: options.agents }, (_, i) => `${options.nodeName}-${i + 1}`);
  run.start(
    nodes.map((node) => agentSpec(context, options, { dataDir, etcd, node })),
    "always",
  );
  const token = context.options().token ?? io.env.FLEETCRON_TOKEN ?? readToken(dataDir);
  if (token === undefined) {
    io.err(`the access token is not in ${show(io.cwd, dataDir)} (this etcd was first used from elsewhere): give it with FLEETCRON_TOKEN\n`);
  } else {
    const api = createApiClient(createRest({ clock, fetch }, { server: url, token }));
    await run.until("the nodes are online", async () => {
      const online = new Set((await api.nodes({ limit: 1000 })).items.filter((node) => node.online).map((node) => node.id));
      return nodes.every((node) => online.has(node));
    });
  }
  run.ready();
  if (readyFile !== undefined) {
    writeWhole(readyFile, { url, token: token ?? null, etcd, nodes });
    cleanup.add(() => rmSync(readyFile, { force: true }));
  }
  io.out(`ready: ${url}, etcd ${etcd.join(",")}, nodes ${nodes.join(" ") || "none"}, data in ${show(io.cwd, dataDir)}; Ctrl-C stops it\n`);
  await run.end;
}

/** The children of one `up`, and what ends it. */
function createRun(context: Context, cleanup: Cleanup) {
  const { io, clock } = context;
  const wrapper = parentDeathCommand();
  const stopping = new AbortController();
  const end = Promise.withResolvers<void>();
  // Looked at by `until` and at the very end; a rejection in between is no unhandled one.
  end.promise.catch(() => {});
  const living = new Set<Child>();
  let isReady = false;
  let firstSignalAt: number | undefined;
  const ignore = io.onSignal(["SIGINT", "SIGTERM", "SIGHUP"], () => {
    const now = clock.mono();
    // A launcher may pass on the very signal that the terminal sent as well: that is not a second one.
    if (firstSignalAt !== undefined && now - firstSignalAt > 500) for (const child of living) child.kill();
    firstSignalAt ??= now;
    stopping.abort();
    end.resolve();
  });
  cleanup.add(ignore);

  function launch(spec: ChildSpec): Child {
    const child = startChild({ clock }, spec, wrapper);
    living.add(child);
    void child.ended.then(() => living.delete(child));
    return child;
  }

  async function keep(spec: ChildSpec, again: "once" | "always", first: Child): Promise<void> {
    let child = first;
    for (let failures = 1; ; failures++) {
      const startedAt = clock.mono();
      const ended = await child.ended;
      if (stopping.signal.aborted) return;
      if (!isReady || again === "once") return end.reject(childError(spec, ended, isReady));
      if (clock.mono() - startedAt > STEADY_MS) failures = 1;
      const pauseMs = backoffMs(context, RESTART, failures);
      io.err(`${spec.name} ended (${endText(ended)}); it is started again in ${(pauseMs / 1000).toFixed(1)} s; its log: ${show(io.cwd, spec.logFile)}\n`);
      await clock.sleep(pauseMs, stopping.signal);
      if (stopping.signal.aborted) return;
      child = launch(spec);
    }
  }

  return {
    end: end.promise,
    ready() {
      isReady = true;
    },
    /** Starts children that are stopped together; those started later are stopped first. */
    start(specs: readonly ChildSpec[], again: "once" | "always") {
      const loops = specs.map((spec) => keep(spec, again, launch(spec)));
      cleanup.add(async () => {
        stopping.abort();
        const own = [...living].filter((child) => specs.includes(child.spec));
        await Promise.all(own.map((child) => child.stop(STOP_GRACE_MS)));
        await Promise.all(loops);
      });
    },
    /** Asks until it is so; a failing question counts as no. Ends early by a child's end or Ctrl-C. */
    async until(what: string, isSo: () => Promise<boolean>) {
      const deadline = clock.mono() + READY_MS;
      const ended = end.promise.then(() => {
        throw INTERRUPTED;
      });
      for (;;) {
        if (await Promise.race([isSo().catch(() => false), ended])) return;
        if (clock.mono() > deadline) throw new AppError("wait/timeout", `not within ${READY_MS / 1000} s: ${what}`, { hint: "the logs in the data folder tell more" });
        await Promise.race([clock.sleep(POLL_MS), ended]);
      }
    },
  };
}

function masterSpec({ io }: Context, options: UpOptions, at: { dataDir: string; etcd: readonly string[]; listen: string }): ChildSpec {
  const bin = fileURLToPath(new URL("../../bin/fleetcron.js", import.meta.url));
  const args = [bin, "serve", "--listen", at.listen, ...etcdArgs(at.etcd), "--prefix", options.prefix, "--data-dir", at.dataDir, "--log-level", "warn"];
  if (options.allowRemote === true) args.push("--allow-remote");
  return { name: "master", command: io.nodePath, args, env: io.env, logFile: join(at.dataDir, "master.log") };
}

function agentSpec({ io }: Context, options: UpOptions, at: { dataDir: string; etcd: readonly string[]; node: string }): ChildSpec {
  const bin = fileURLToPath(new URL("bin/fleetcron-agent.js", import.meta.resolve("fleetcron-agent/package.json")));
  const dataDir = join(at.dataDir, "agents", at.node);
  const args = [bin, ...etcdArgs(at.etcd), "--prefix", options.prefix, "--node-id", at.node, "--data-dir", dataDir, "--log-level", "warn"];
  return { name: at.node, command: io.nodePath, args, env: io.env, logFile: join(at.dataDir, `${at.node}.log`) };
}

function etcdArgs(endpoints: readonly string[]): string[] {
  return endpoints.flatMap((endpoint) => ["--etcd", endpoint]);
}

const CODE_OF_EXIT: Readonly<Record<number, ErrorCode>> = { 2: "config/invalid", 4: "cluster/mismatch", 5: "auth/denied" };

function childError(spec: ChildSpec, ended: Ended, wasReady: boolean): AppError {
  const code = wasReady ? undefined : CODE_OF_EXIT[ended.code ?? -1];
  return new AppError(code ?? "up/child-ended", `${spec.name} ended${wasReady ? "" : " at its start"} (${endText(ended)}): ${lastWords(spec.logFile)}`, {
    hint: `its log is ${spec.logFile}`,
  });
}

/** Host and port, port 0 replaced by a free one; throws when somebody listens there already. */
async function listenAddress(text: string): Promise<{ host: string; port: number }> {
  const match = /^(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2] ?? Number.NaN);
  if (match?.[1] === undefined || !(port <= 65_535)) throw new AppError("input/usage", `--listen "${text}" is not of the form HOST:PORT`);
  const host = match[1];
  if (port === 0) return { host, port: (await freePorts(1))[0] ?? 0 };
  await checkFree(host.replace(/^\[|\]$/g, ""), port);
  return { host, port };
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new AppError("config/data-dir", `the data folder ${path} cannot be made: ${asError(cause).message}`, { cause, hint: "choose another with --data-dir" });
  }
}

function readToken(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, ADMIN_TOKEN_FILE), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** For its owner only: it holds the token. */
function writeWhole(path: string, content: object): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

function show(cwd: string, path: string): string {
  const near = relative(cwd, path);
  return near === "" ? "." : near.startsWith("..") ? path : near;
}
