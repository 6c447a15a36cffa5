/** BullMQ with Redis: from npm and Debian into a folder of ours, Redis on a free port of the loopback with its append-only file there. */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../support/etcd.ts";
import { eventually } from "../../support/fleet.ts";
import { factsOf } from "../process-facts.ts";
import { debianProgram, type Unpacked } from "./debian.ts";
import { latenessOf, type Peer, type PeerBench, quantilesOf, soon, stamped, startsPerSecond, Unavailable } from "./peer.ts";

/** Fixed, so that figures of different days are of the same program. */
const BULLMQ = "6.7.0";
const IOREDIS = "5";
const REDIS = ["redis-server", "redis-tools", "libjemalloc2", "liblua5.1-0", "liblzf1", "lua-bitop", "lua-cjson", "libhiredis0.14"];
const PATIENCE_MS = 60_000;

type Message = {
  readonly what: "every" | "never" | "order" | "due" | "hold";
  readonly file?: string;
  readonly count?: number;
  readonly dueMs?: number;
};
type Answer = { readonly sentMs?: number; readonly error?: string; readonly ready?: true };

/** Throws `Unavailable`. */
export async function startBullmq(bench: PeerBench): Promise<Peer> {
  const folder = join(bench.folder, "bullmq");
  const debian = join(folder, "debian");
  mkdirSync(debian, { recursive: true });
  install(folder);
  const unpacked = debianProgram("redis-server", REDIS, debian);
  await using stack = new AsyncDisposableStack();
  const [port = 0] = await freePorts(1);
  const redis = await startRedis(unpacked, port, folder);
  stack.defer(() => kill(redis));
  const script = join(folder, "bullmq-process.mjs");
  cpSync(fileURLToPath(new URL("bullmq-process.mjs", import.meta.url)), script);
  const started = async (role: string) => {
    const child = fork(script, [role, String(port), bench.stamp], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    stack.defer(() => kill(child));
    await answerOf(child);
    return child;
  };
  const worker = await started("worker");
  const client = await started("client");
  const ask = async (message: Message) => {
    const answer = answerOf(client);
    client.send(message);
    return answer;
  };
  const path = (name: string) => join(bench.folder, name);
  const redisVersion = /v=([\d.]+)/.exec(execFileSync(unpacked.program, ["--version"], { env: unpacked.env }).toString())?.[1];
  const own = stack.move();
  return {
    name: "BullMQ",
    what: `BullMQ ${versionIn(folder)} with Redis ${redisVersion} (append-only file, synchronised once a second), one worker process that starts the program itself, 64 at once; memory is that of Redis and the worker`,
    async skew(round, ticks) {
      const file = `bullmq-skew-${round}`;
      await ask({ what: "every", file: path(file) });
      const stamps = await stamped(bench, file, ticks + 1, PATIENCE_MS + ticks * 1000);
      await ask({ what: "never" });
      return quantilesOf(latenessOf(stamps.slice(1), 1000));
    },
    async orders(round, count) {
      const file = `bullmq-orders-${round}`;
      const latencies: number[] = [];
      for (let i = 0; i < count; i++) {
        const { sentMs = Number.NaN } = await ask({ what: "order", file: path(file) });
        const stamps = await stamped(bench, file, i + 1, PATIENCE_MS);
        latencies.push((stamps[i]?.atMs ?? Number.NaN) - sentMs);
      }
      return quantilesOf(latencies);
    },
    async burst(round, count) {
      const file = `bullmq-burst-${round}`;
      const dueMs = soon(4000);
      await ask({ what: "due", file: path(file), count, dueMs });
      return startsPerSecond(await stamped(bench, file, count, PATIENCE_MS), dueMs);
    },
    memory: () => factsOf(redis.pid ?? -1, worker.pid ?? -1).residentBytes,
    hold: async (count) => void (await ask({ what: "hold", file: path("bullmq-held"), count })),
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  };
}

function install(folder: string): void {
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  try {
    execFileSync("npm", [...args, `bullmq@${BULLMQ}`, `ioredis@${IOREDIS}`], { cwd: folder, stdio: "pipe", timeout: 180_000 });
  } catch (error) {
    const words = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new Unavailable(`npm could not install bullmq@${BULLMQ}: ${words.split("\n").find((line) => /error/i.test(line)) ?? words}`);
  }
}

function versionIn(folder: string): string {
  const { version } = JSON.parse(readFileSync(join(folder, "node_modules/bullmq/package.json"), "utf8")) as { version: string };
  return version;
}

async function startRedis({ program, env }: Unpacked, port: number, folder: string): Promise<ChildProcess> {
  const keep = ["--dir", folder, "--save", "", "--appendonly", "yes", "--daemonize", "no"];
  const redis = spawn(program, ["--port", String(port), "--bind", "127.0.0.1", ...keep], { stdio: "ignore", env });
  redis.once("error", () => {});
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
  try {
    await eventually("Redis answers", answers, 10_000);
  } catch {
    await kill(redis);
    throw new Unavailable(`${program} does not start here`);
  }
  return redis;
}

/** The next message of the process; rejects when it says that something failed, or ends. */
function answerOf(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`BullMQ's process ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      const answer = message as Answer;
      if (answer.error === undefined) resolve(answer);
      else reject(new Error(answer.error));
    });
  });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
