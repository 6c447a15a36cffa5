/** The private etcd of `up`: one member on free ports of the loopback, compacting every hour, its data in the data folder. */
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { AppError } from "fleetcron-shared/base/errors";
import type { ChildSpec } from "./child.ts";
import type { Io } from "./io.ts";

/** How to start it, and where it then answers. */
export async function planEtcd(io: Pick<Io, "env">, dataDir: string): Promise<{ spec: ChildSpec; url: string }> {
  if (spawnSync("etcd", ["--version"], { stdio: "ignore" }).status !== 0) {
    throw new AppError("config/invalid", "there is no `etcd` program on this machine's PATH", {
      hint: "install it (Debian: `apt-get install etcd-server`), or name a running one with --etcd URL",
    });
  }
  const [client, peer] = await freePorts(2);
  const url = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const args = [
    ...["--name", "up", "--data-dir", join(dataDir, "etcd")],
    ...["--listen-client-urls", url, "--advertise-client-urls", url],
    ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `up=${peerUrl}`],
    ...["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h", "--log-level", "warn"],
  ];
  // etcd 3.4 refuses to run on arm64 unless told that this is meant.
  const env = process.arch === "arm64" ? { ...io.env, ETCD_UNSUPPORTED_ARCH: "arm64" } : io.env;
  return { url, spec: { name: "etcd", command: "etcd", args, env, logFile: join(dataDir, "etcd.log") } };
}

/** Ports of the loopback that are free now, held together while they are found so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const holders = await Promise.all(Array.from({ length: count }, () => holdPort("127.0.0.1", 0)));
  const ports = holders.map((holder) => holder.port);
  await Promise.all(holders.map((holder) => holder.release()));
  return ports;
}

/** Throws `config/port-in-use` when the address cannot be listened on. */
export async function checkFree(host: string, port: number): Promise<void> {
  try {
    await (await holdPort(host, port)).release();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "another program listens there" : code === "EACCES" ? "this user may not listen there" : "this machine has no such address";
    throw new AppError("config/port-in-use", `${host}:${port} cannot be used: ${why}`, { cause, hint: "choose another with --listen HOST:PORT (port 0 takes a free one)" });
  }
}

function holdPort(host: string, port: number): Promise<{ port: number; release(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, host, () => {
      const address = server.address();
      const release = () => new Promise<void>((done) => server.close(() => done()));
      resolve({ port: typeof address === "object" && address !== null ? address.port : port, release });
    });
  });
}
