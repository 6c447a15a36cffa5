/** The private etcd of `up`: one member on free ports of the loopback, compacting every hour, its data in the data folder. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { AppError } from "fleetcron-shared/base/errors";
import type { ChildSpec } from "./child.ts";
import type { Io } from "./io.ts";
import { freePorts } from "./up-ports.ts";

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
