/**
 * `fleetcron up`: a private etcd (unless one is named), a master and agents as child processes, until Ctrl-C or SIGTERM. They are ended in
 * the reverse order, each by its own pid, the agents with all that they run. A master or agent that dies is started again after a growing pause; without its private etcd
 * there is nothing left to run, so `up` ends. A child that ends before all are ready is an error in what was asked, and ends `up` too.
 */
import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { makeDataDir } from "fleetcron-shared/base/data-dir";
import { AppError } from "fleetcron-shared/base/errors";
import { Cleanup } from "fleetcron-shared/base/service";
import { createApiClient } from "../client/api.ts";
import { createRest } from "../client/rest.ts";
import { ADMIN_TOKEN_FILE, writeWhole } from "../first-start.ts";
import type { ChildSpec } from "./child.ts";
import type { Context } from "./context.ts";
import { dataDirOf } from "./settings.ts";
import { planEtcd } from "./up-etcd.ts";
import { endExecutions, nodesLeft, openChildNotes } from "./up-leftovers.ts";
import { lockDataDir } from "./up-lock.ts";
import { listenAddress } from "./up-ports.ts";
import { createRun, INTERRUPTED, nearPath } from "./up-run.ts";

export type UpOptions = {
  readonly agents: number;
  readonly listen: string;
  readonly insecurePlain?: boolean;
  readonly etcd?: readonly string[];
  readonly prefix: string;
  readonly dataDir?: string;
  readonly nodeName: string;
  readonly readyFile?: string;
};

/** Of an agent's id, which gets a dash and a number more; it also names the agent's log file. */
const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,58}$/;

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
  if (!NODE_NAME.test(options.nodeName)) {
    throw new AppError("input/usage", `--node-name "${options.nodeName}" cannot begin the id of a node`, {
      hint: "use letters, digits, dots, dashes and underscores, at most 59",
    });
  }
  const { host, port } = await listenAddress(options.listen);
  await using cleanup = new Cleanup();
  makeDataDir(dataDir, { mode: 0o700, program: "master" });
  cleanup.add(lockDataDir(dataDir));

  const notes = openChildNotes(dataDir);
  const run = createRun(context, cleanup, notes.note);
  await notes.endLeft(context);
  cleanup.add(notes.remove);
  const nodes = Array.from({ length: options.agents }, (_, i) => `${options.nodeName}-${i + 1}`);
  const endLeft = (left: readonly string[]) =>
    Promise.all(left.map((node) => endExecutions(context, agentSpec(context, options, { dataDir, etcd: [], node }))));
  await endLeft(nodesLeft(dataDir).filter((node) => !nodes.includes(node)));
  cleanup.add(() => endLeft(nodesLeft(dataDir)));

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

  run.start(
    nodes.map((node) => agentSpec(context, options, { dataDir, etcd, node })),
    "always",
  );
  const token = context.options().token ?? io.env.FLEETCRON_TOKEN ?? readToken(dataDir);
  let login: string | undefined;
  if (token === undefined) {
    io.err(
      `the access token is not in ${nearPath(io.cwd, dataDir)} (this etcd was first used from elsewhere): give it with FLEETCRON_TOKEN\n`,
    );
  } else {
    const api = createApiClient(createRest({ clock, fetch }, { server: url, token }));
    await run.until("the nodes are online", async () => {
      const online = new Set((await api.nodes({ limit: 1000 })).items.filter((node) => node.online).map((node) => node.id));
      return nodes.every((node) => online.has(node));
    });
    login = url + (await api.loginLink()).path;
  }
  run.ready();
  if (readyFile !== undefined) {
    writeWhole(readyFile, `${JSON.stringify({ url, token: token ?? null, login: login ?? null, etcd, nodes })}\n`, 0o600);
    cleanup.add(() => rmSync(readyFile, { force: true }));
  }
  io.out(
    `ready: ${url}, etcd ${etcd.join(",")}, nodes ${nodes.join(" ") || "none"}, data in ${nearPath(io.cwd, dataDir)}; Ctrl-C stops it\n`,
  );
  if (login !== undefined) io.out(`the console, once and within ten minutes without a token: ${login}\n`);
  await run.end;
}

function readToken(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, ADMIN_TOKEN_FILE), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

function masterSpec({ io }: Context, options: UpOptions, at: { dataDir: string; etcd: readonly string[]; listen: string }): ChildSpec {
  const bin = fileURLToPath(new URL("../../bin/fleetcron.js", import.meta.url));
  const where = ["--listen", at.listen, ...etcdArgs(at.etcd), "--prefix", options.prefix, "--data-dir", at.dataDir];
  const args = [bin, "serve", ...where, "--log-level", "warn"];
  if (options.insecurePlain === true) args.push("--insecure-plain");
  return { name: "master", command: io.nodePath, args, env: io.env, logFile: join(at.dataDir, "master.log") };
}

function agentSpec({ io }: Context, options: UpOptions, at: { dataDir: string; etcd: readonly string[]; node: string }): ChildSpec {
  const bin = fileURLToPath(new URL("bin/fleetcron-agent.js", import.meta.resolve("fleetcron-agent/package.json")));
  const dataDir = join(at.dataDir, "agents", at.node);
  const who = ["--prefix", options.prefix, "--node-id", at.node, "--data-dir", dataDir];
  const args = [bin, ...etcdArgs(at.etcd), ...who, "--stop-executions", "true", "--log-level", "warn"];
  return { name: at.node, command: io.nodePath, args, env: io.env, logFile: join(at.dataDir, `${at.node}.log`) };
}

function etcdArgs(endpoints: readonly string[]): string[] {
  return endpoints.flatMap((endpoint) => ["--etcd", endpoint]);
}
