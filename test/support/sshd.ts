/** Real OpenSSH servers with scratch keys on free ports of the loopback, run as the current user, and a home folder with keys for their clients. */
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { SshEnvironment } from "fleetcron-shared/ssh/environment";
import { childrenOf, isAlive, tempFolder, textOf, until } from "./processes.ts";

const SSHD = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].find((path) => existsSync(path)) ?? "sshd";

export type SshdOptions = {
  /** Lines of sshd_config that win over those of the bench. */
  readonly config?: readonly string[];
  /** Default ed25519. */
  readonly keyTypes?: readonly ("ed25519" | "ecdsa" | "rsa")[];
  readonly port?: number;
  /** Host keys of another server of the bench: the same host, started again. */
  readonly keysOf?: Sshd;
  /** false: nobody knows it yet. */
  readonly isKnown?: boolean;
  /** Default 127.0.0.1. */
  readonly address?: string;
};

export type Sshd = {
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  /** `user@127.0.0.1:port` */
  readonly target: string;
  /** `type base64` of each host key. */
  readonly publicKeys: readonly string[];
  /** The processes of the server: the listener first, then one or two for each connection. */
  pids(): number[];
  /** Ends the listener and all connections at once, as a power cut does. */
  kill(): void;
  /** Ends the connections; the listener stays. */
  dropConnections(): void;
  log(): string;
};

export type SshBench = AsyncDisposable & {
  readonly folder: string;
  readonly home: string;
  readonly user: string;
  /** Of the clients: their keys are in `home`/.ssh. */
  readonly environment: SshEnvironment;
  /** The private key that all servers accept. */
  readonly key: string;
  readonly knownHosts: string;
  start(options?: SshdOptions): Promise<Sshd>;
  /** A line of known_hosts for a server. */
  trust(sshd: Pick<Sshd, "address" | "port" | "publicKeys">): void;
  /** Makes a key pair; returns the private key's path. */
  makeKey(name: string, options?: { passphrase?: string; authorize?: boolean; type?: string }): string;
};

export function sshBench(): SshBench {
  const temp = tempFolder();
  const home = temp.file("home");
  mkdirSync(join(home, ".ssh"), { recursive: true, mode: 0o700 });
  const knownHosts = join(home, ".ssh", "known_hosts");
  const authorized = temp.file("authorized_keys");
  writeFileSync(authorized, "", { mode: 0o600 });
  const { username: user } = userInfo();
  const servers: Sshd[] = [];
  let count = 0;
  const bench: SshBench = {
    folder: temp.path,
    home,
    user,
    environment: { home, user, systemFolder: temp.file("etc") },
    key: join(home, ".ssh", "id_ed25519"),
    knownHosts,
    makeKey(name, options = {}) {
      const path = join(home, ".ssh", name);
      makeKeyPair(path, options.type ?? "ed25519", options.passphrase ?? "");
      if (options.authorize !== false) appendFileSync(authorized, readFileSync(`${path}.pub`));
      return path;
    },
    trust({ address, port, publicKeys }) {
      for (const key of publicKeys)
        appendFileSync(knownHosts, `${port === 22 ? address : `[${address}]:${port}`} ${key}\n`, { mode: 0o600 });
    },
    async start(options = {}) {
      const sshd = await startSshd(temp.file(`sshd-${++count}`), authorized, user, options);
      servers.push(sshd);
      if (options.isKnown !== false && options.keysOf === undefined) bench.trust(sshd);
      return sshd;
    },
    async [Symbol.asyncDispose]() {
      const pids = servers.flatMap((server) => server.pids());
      for (const server of servers) server.kill();
      await until("the servers are gone", () => !pids.some(isAlive));
      temp[Symbol.dispose]();
    },
  };
  bench.makeKey("id_ed25519");
  return bench;
}

async function startSshd(folder: string, authorized: string, user: string, options: SshdOptions): Promise<Sshd> {
  mkdirSync(folder, { mode: 0o700 });
  // As root it insists on this folder, which its service makes at boot.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const address = options.address ?? "127.0.0.1";
  const port = options.port ?? (await freePort(address));
  const keys = (options.keyTypes ?? ["ed25519"]).map((type) => {
    const path = join(folder, `host_${type}`);
    if (options.keysOf === undefined) makeKeyPair(path, type, "");
    else for (const end of ["", ".pub"]) copyFileSync(join(options.keysOf.folder, `host_${type}${end}`), `${path}${end}`);
    return path;
  });
  const log = join(folder, "log");
  const config = [
    ...(options.config ?? []),
    `ListenAddress ${address}:${port}`,
    ...keys.map((path) => `HostKey ${path}`),
    `AuthorizedKeysFile ${authorized}`,
    `PidFile ${join(folder, "pid")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UseDNS no",
    "MaxStartups 200:30:400",
  ];
  writeFileSync(join(folder, "config"), `${config.join("\n")}\n`);
  writeFileSync(log, "");
  const listener = spawn(SSHD, ["-D", "-f", join(folder, "config"), "-E", log], { stdio: "ignore" });
  const pid = listener.pid ?? -1;
  await until("sshd listens", () => {
    if (listener.exitCode !== null) throw new Error(`sshd ended: ${textOf(log)}`);
    return textOf(log).includes("Server listening on");
  });
  const connections = () => childrenOf(pid).flatMap((child) => [child, ...childrenOf(child).filter(isSshd)]);
  return {
    address,
    port,
    folder,
    target: `${user}@${address}:${port}`,
    publicKeys: keys.map((path) => readFileSync(`${path}.pub`, "utf8").split(" ").slice(0, 2).join(" ")),
    pids: () => [...(isAlive(pid) ? [pid] : []), ...connections()],
    dropConnections: () => killAll(connections()),
    kill: () => killAll([...connections(), pid]),
    log: () => textOf(log),
  };
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

function isSshd(pid: number): boolean {
  return textOf(`/proc/${pid}/comm`).trim().startsWith("sshd");
}

function makeKeyPair(path: string, type: string, passphrase: string): void {
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-C", "fleetcron-test", "-f", path], { stdio: "ignore" });
}

export async function freePort(address = "127.0.0.1"): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, address, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
