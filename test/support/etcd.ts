/**
 * Real etcd servers for tests: Debian's `etcd` on free ports of the loopback, data in memory where there is /dev/shm. One member or a cluster;
 * each can be killed, frozen and started again. Whatever a test process leaves behind when it dies is killed by pid.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type EtcdServer = {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  readonly endpoints: readonly string[];
  readonly port: number;
  readonly dataDir: string;
  readonly name: string;
  /** Of the running process. */
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data (`wipe`: on empty data; `args`: with these too, this time), and waits until it serves. */
  restart(options?: { wipe?: boolean; wait?: boolean; args?: readonly string[] }): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its data. Idempotent. */
  stop(): Promise<void>;
  /** What it wrote to its log: for failures. */
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Where a member of a cluster runs: its address, and a command that starts it there. */
export type EtcdHost = { readonly name: string; readonly address: string; readonly wrapper: readonly string[] };

export type EtcdCluster = {
  readonly members: readonly EtcdServer[];
  readonly endpoints: readonly string[];
  /** The member that leads now. */
  leader(): Promise<EtcdServer>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const BINARY = ["/usr/bin/etcd", "/usr/local/bin/etcd"].find((path) => existsSync(path));
/** Kills what it starts when its parent dies, be it by SIGKILL. Not everywhere installed; the exit hook does for the rest. */
const WITH_PARENT = existsSync("/usr/bin/setpriv") ? ["/usr/bin/setpriv", "--pdeathsig", "KILL"] : [];
const READY_MS = 20_000;
const PORT_TRIES = 5;
/** Elections in tens of milliseconds instead of a second. */
const FAST = ["--heartbeat-interval", "10", "--election-timeout", "100"];

/** One member. `args` are added to its command line. `scheme: "https"` when the args make it serve TLS (readiness is then not probed). */
export function startEtcd(options: { args?: readonly string[]; scheme?: "http" | "https" } = {}): Promise<EtcdServer> {
  const scheme = options.scheme ?? "http";
  const name = "m0";
  return onFreePorts(2, async ([client = 0, peer = 0]) => {
    const peerUrl = `http://127.0.0.1:${peer}`;
    const own = memberArgs(name, `${scheme}://127.0.0.1:${client}`, peerUrl);
    const args = [...FAST, ...own, "--initial-cluster", `${name}=${peerUrl}`, ...(options.args ?? [])];
    const server = createServerHandle(name, client, scheme, args);
    await startAll([server]);
    return server;
  });
}

/** A cluster of `size` members, with a slower election so that a busy machine does not depose leaders. */
export function startEtcdCluster(size = 3, options: { args?: readonly string[]; hosts?: readonly EtcdHost[] } = {}): Promise<EtcdCluster> {
  return onFreePorts(size * 2, async (ports) => {
    const plan = Array.from({ length: size }, (_, i) => {
      const { name = `m${i}`, address = "127.0.0.1", wrapper = [] } = options.hosts?.[i] ?? {};
      return { name, address, wrapper, client: ports[i * 2] ?? 0, peerUrl: `http://${address}:${ports[i * 2 + 1]}` };
    });
    const initial = plan.map((member) => `${member.name}=${member.peerUrl}`).join(",");
    const members = plan.map(({ name, address, wrapper, client, peerUrl }) =>
      createServerHandle(
        name,
        client,
        "http",
        [
          ...["--heartbeat-interval", "50", "--election-timeout", "500"],
          ...memberArgs(name, `http://${address}:${client}`, peerUrl),
          ...["--initial-cluster", initial, ...(options.args ?? [])],
        ],
        { address, wrapper },
      ),
    );
    await startAll(members);
    const stop = () => stopAll(members);
    return {
      members,
      endpoints: members.map((member) => member.endpoint),
      leader: () => findLeader(members),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  });
}

/** Calls `start` with free ports, and again with others when somebody has taken one of them before etcd did. */
async function onFreePorts<T>(count: number, start: (ports: readonly number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      if (attempt >= PORT_TRIES || !String(error).includes("address already in use")) throw error;
    }
  }
}

/** Starts the members, or none of them. */
async function startAll(members: readonly EtcdServer[]): Promise<void> {
  try {
    await Promise.all(members.map((member) => member.restart()));
  } catch (error) {
    await stopAll(members);
    throw error;
  }
}

async function stopAll(members: readonly EtcdServer[]): Promise<void> {
  await Promise.all(members.map((member) => member.stop()));
}

function memberArgs(name: string, clientUrl: string, peerUrl: string): string[] {
  return [
    ...["--name", name, "--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
    ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl, "--initial-cluster-state", "new", "--log-level", "warn"],
  ];
}

function createServerHandle(
  name: string,
  port: number,
  scheme: "http" | "https",
  args: readonly string[],
  host: Pick<EtcdHost, "address" | "wrapper"> = { address: "127.0.0.1", wrapper: [] },
): EtcdServer {
  if (BINARY === undefined) throw new Error("etcd is not installed: run `apt-get install etcd-server`");
  const binary = BINARY;
  const home = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "fleetcron-etcd-"));
  const dataDir = join(home, "data");
  const logFile = join(home, "log");
  const endpoint = `${scheme}://${host.address}:${port}`;
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();
  const onProcessExit = () => {
    child?.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  process.on("exit", onProcessExit);

  async function kill(): Promise<void> {
    child?.kill("SIGKILL");
    await gone;
    child = undefined;
  }

  async function stop(): Promise<void> {
    await kill();
    process.off("exit", onProcessExit);
    rmSync(home, { recursive: true, force: true });
  }

  return {
    endpoint,
    endpoints: [endpoint],
    port,
    dataDir,
    name,
    get pid() {
      if (child?.pid === undefined) throw new Error("this etcd is not running");
      return child.pid;
    },
    kill,
    async restart({ wipe = false, wait = true, args: more = [] } = {}) {
      await kill();
      if (wipe) rmSync(dataDir, { recursive: true, force: true });
      const out = openSync(logFile, "a");
      const [command = binary, ...rest] = [...WITH_PARENT, ...host.wrapper, binary, "--data-dir", dataDir, ...args, ...more];
      const started = spawn(command, rest, { stdio: ["ignore", out, out] });
      child = started;
      gone = new Promise((resolve) => started.once("exit", () => resolve()));
      if (wait && scheme === "http") await untilHealthy(endpoint, started, () => readFileSync(logFile, "utf8"));
    },
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    stop,
    log: () => readFileSync(logFile, "utf8"),
    [Symbol.asyncDispose]: stop,
  };
}

async function untilHealthy(endpoint: string, child: ChildProcess, log: () => string): Promise<void> {
  const until = performance.now() + READY_MS;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`etcd ended at its start:\n${log()}`);
    const health = await fetch(`${endpoint}/health`).then(
      (answer) => answer.json() as Promise<{ health: string }>,
      () => undefined,
    );
    if (health?.health === "true") return;
    if (performance.now() > until) throw new Error(`etcd at ${endpoint} did not become healthy in ${READY_MS} ms:\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function findLeader(members: readonly EtcdServer[]): Promise<EtcdServer> {
  for (let attempt = 0; attempt < 500; attempt++) {
    for (const member of members) {
      const answer = await fetch(`${member.endpoint}/v3/maintenance/status`, {
        method: "POST",
        body: "{}",
        signal: AbortSignal.timeout(500),
      }).then(
        (response) => response.json() as Promise<{ leader?: string; header?: { member_id: string } }>,
        () => undefined,
      );
      if (answer?.leader !== undefined && answer.leader !== "0" && answer.leader === answer.header?.member_id) return member;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("no etcd member leads");
}

/** Ports that are free now. Held together while they are found, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
