/**
 * Real masters for tests: `fleetcron serve` as a process on a free port, with its token, and a small typed way to ask it. Whatever is left when the
 * test process dies is killed by pid.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "fleetcron-shared/base/clock";
import { checkedFetch } from "./api-truth.ts";

export type Answer<T> = { readonly status: number; readonly body: T; readonly headers: Headers };

export type MasterProcess = {
  readonly url: string;
  readonly token: string;
  readonly name: string;
  readonly pid: number;
  /** A request under /api/v1 with the token. */
  ask<T = Record<string, unknown>>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. Idempotent. */
  stop(): Promise<number | null>;
  /** What it wrote to standard error. */
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** `dataFolder`: of the master; by default one of its own. */
export type MasterStart = {
  endpoints: readonly string[];
  token?: string;
  args?: readonly string[];
  dataFolder?: string;
  env?: Readonly<Record<string, string>>;
};

const MAIN = fileURLToPath(new URL("../../packages/master/src/main.ts", import.meta.url));
const READY_MS = 30_000;

/** Starts a master and waits until it is ready. `token`: needed when an earlier master of the same etcd has made it. */
export async function startMasterProcess(options: MasterStart): Promise<MasterProcess> {
  const home = mkdtempSync(join(tmpdir(), "fleetcron-master-"));
  const readyFile = join(home, "ready");
  const args = [
    ...options.endpoints.flatMap((endpoint) => ["--etcd", endpoint]),
    ...["--listen", "127.0.0.1:0", "--data-dir", options.dataFolder ?? join(home, "data"), "--ready-file", readyFile],
    ...(options.args ?? []),
  ];
  const started = spawnServe(args, options.env);
  const { child, ended } = started;
  const onProcessExit = () => {
    child.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  process.on("exit", onProcessExit);
  const finish = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const { code } = await ended;
    process.off("exit", onProcessExit);
    rmSync(home, { recursive: true, force: true });
    return code;
  };
  const end = systemClock.mono() + READY_MS;
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null || systemClock.mono() > end) {
      await finish("SIGKILL");
      throw new Error(`the master did not get ready:\n${started.errorText()}`);
    }
    await systemClock.sleep(5);
  }
  const ready = JSON.parse(readFileSync(readyFile, "utf8")) as { url: string; token?: string; master: string };
  const token = options.token ?? ready.token ?? "";
  return {
    url: ready.url,
    token,
    name: ready.master,
    pid: child.pid ?? 0,
    ask: (method, path, body, headers) => ask(`${ready.url}/api/v1${path}`, method, body, { authorization: `Bearer ${token}`, ...headers }),
    kill: async () => void (await finish("SIGKILL")),
    stop: () => finish("SIGTERM"),
    log: started.errorText,
    [Symbol.asyncDispose]: async () => void (await finish("SIGTERM")),
  };
}

/** Runs `fleetcron serve` to its end: for starts that must fail. */
export async function failToServe(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; text: string }> {
  const { ended, errorText } = spawnServe(args, env);
  const { code } = await ended;
  return { code, text: errorText() };
}

function spawnServe(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child: ChildProcess = spawn(process.execPath, [MAIN, "serve", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH, ...env },
  });
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const ended = new Promise<{ code: number | null }>((resolve) => child.once("close", (code) => resolve({ code })));
  return { child, ended, errorText: () => text };
}

/** Every answer is held to the OpenAPI document. */
const trueFetch = checkedFetch();

async function ask<T>(url: string, method: string, body: unknown, headers: Record<string, string>): Promise<Answer<T>> {
  const response = await trueFetch(url, {
    method,
    headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T, headers: response.headers };
}
