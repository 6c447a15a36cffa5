/**
 * Real PostgreSQL servers for tests: Debian's binaries on a free port of the loopback, data in a temp folder, as the user `postgres` when the test runs as root,
 * because PostgreSQL refuses root. Whatever a test process leaves behind when it dies is killed by pid.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import pg from "pg";
import { freePorts } from "./etcd.ts";

export type PostgresServer = {
  readonly port: number;
  readonly folder: string;
  /** With user and password, of a database of its own. */
  url(database?: string): string;
  query<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>;
  /** SIGQUIT: ends at once, as after a crash. */
  crash(): Promise<void>;
  start(): Promise<void>;
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

export const PASSWORD = "s3cret-pass";
const ROOT = "/usr/lib/postgresql";
const READY_MS = 30_000;
/** Data in memory where there is room for it. */
const BASE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** `settings`: lines for postgresql.conf. `base`: where the data folder goes. */
export async function startPostgres(options: { settings?: readonly string[]; base?: string } = {}): Promise<PostgresServer> {
  const bin = binaries();
  const folder = mkdtempSync(join(options.base ?? BASE, "fleetcron-pg-"));
  const data = join(folder, "data");
  const ids = process.getuid?.() === 0 ? owner() : undefined;
  chmodSync(folder, 0o755);
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o644 });
  if (ids !== undefined) for (const path of [folder, data, passwordFile]) chownSync(path, ids.uid, ids.gid);
  const as = { ...(ids ?? {}), cwd: folder, env: { PATH: process.env.PATH, LC_ALL: "C" } };
  execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-U", "fleet", "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N"],
    { ...as, stdio: "ignore" },
  );
  const [port = 0] = await freePorts(1);
  const settings = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    `unix_socket_directories = '${folder}'`,
    "fsync = off",
    ...(options.settings ?? []),
  ];
  writeFileSync(join(data, "postgresql.auto.conf"), `${settings.join("\n")}\n`);
  let child: ChildProcess | undefined;
  let text = "";
  const onExit = () => child?.kill("SIGQUIT");
  process.on("exit", onExit);
  const url = (database = "postgres") => `postgres://fleet:${PASSWORD}@127.0.0.1:${port}/${database}`;

  async function query<R extends object>(statement: string, values: readonly unknown[] = []): Promise<R[]> {
    const client = new pg.Client({ connectionString: url() });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query<R>(statement, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  async function start(): Promise<void> {
    const started = spawn(join(bin, "postgres"), ["-D", data], { ...as, stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    started.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const end = systemClock.mono() + READY_MS;
    for (;;) {
      if (started.exitCode !== null || systemClock.mono() > end) throw new Error(`PostgreSQL did not start:\n${text}`);
      const ready = await query("SELECT 1").then(
        () => true,
        () => false,
      );
      if (ready) return;
      await systemClock.sleep(20);
    }
  }

  async function crash(): Promise<void> {
    const ending = child;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => ending.once("close", () => resolve()));
    ending.kill("SIGQUIT");
    await gone;
  }

  await start();
  return {
    ...{ port, folder, url, query, crash, start },
    log: () => text,
    async [Symbol.asyncDispose]() {
      await crash();
      process.off("exit", onExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function binaries(): string {
  const versions = existsSync(ROOT) ? readdirSync(ROOT).sort((a, b) => Number(b) - Number(a)) : [];
  if (versions[0] === undefined) throw new Error("no PostgreSQL here: scripts/setup --tests installs it");
  return join(ROOT, versions[0], "bin");
}

/** The user that Debian's package has made. */
function owner(): { uid: number; gid: number } {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((one) => one.startsWith("postgres:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error("there is no user postgres");
  return { uid: Number(uid), gid: Number(gid) };
}
