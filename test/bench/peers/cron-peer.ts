/**
 * Debian's cron, in mount and process namespaces of its own: it sees a spool, a cron.d and a PAM folder of ours, and nothing of it outlives this.
 * It knows minutes only, and takes no orders. It reads its tables when a minute begins, so what is to be measured is written a minute ahead.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { until } from "../../support/processes.ts";
import { descendantsOf, factsOf } from "../process-facts.ts";
import { debianProgram } from "./debian.ts";
import { latenessOf, type Peer, type PeerBench, quantilesOf, stamped, startsPerSecond, Unavailable } from "./peer.ts";

const MINUTE_MS = 60_000;
/** What it is given at most to read its tables or to start everything. */
const SLACK_MS = 60_000;
/** It refuses tables of more than a thousand lines. */
const LINES_A_TABLE = 500;

const IN_NAMESPACE = `set -eu
mount --bind "$1/spool" /var/spool
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/pam.d" /etc/pam.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
mount -t tmpfs none /run
exec "$2" -f -L 0`;

/** Throws `Unavailable`. */
export async function startCron(bench: PeerBench): Promise<Peer> {
  if (process.getuid?.() !== 0)
    throw new Unavailable("cron needs root: for a mount namespace, so that it does not see this system's crontabs");
  const folder = join(bench.folder, "cron");
  const tables = join(folder, "cron.d");
  const debian = join(folder, "debian");
  for (const path of [join(folder, "spool/cron/crontabs"), tables, debian]) mkdirSync(path, { recursive: true });
  const { program, root, env } = debianProgram("cron", ["cron"], debian);
  cpSync("/etc/pam.d", join(folder, "pam.d"), { recursive: true });
  if (root !== "/") cpSync(join(root, "etc/pam.d/cron"), join(folder, "pam.d/cron"));
  const table = (name: string, lines: readonly string[]) => writeFileSync(join(tables, name), `${lines.join("\n")}\n`, { mode: 0o644 });
  table("skew", [`* * * * * root ${bench.stamp} ${join(bench.folder, "cron-skew")} cron`]);
  const child = startIsolated(folder, program, env);
  await alive(child);
  return {
    name: "Debian cron",
    what: "`cron -f` with system tables, which start commands through `sh -c`; due times are minutes, one skew sample a round; memory is the daemon's",
    async skew(_round) {
      await nextMinute();
      const stamps = await stamped(bench, "cron-skew", bench.stamps("cron-skew").length + 1, SLACK_MS);
      return quantilesOf(latenessOf(stamps.slice(-1), MINUTE_MS));
    },
    async burst(round, count) {
      const dueMs = (Math.floor(systemClock.now() / MINUTE_MS) + 2) * MINUTE_MS;
      const due = new Date(dueMs);
      const name = `cron-burst-${round}`;
      const command = `root ${bench.stamp} ${join(bench.folder, name)} cron`;
      const lines = Array.from({ length: count }, () => `${due.getMinutes()} ${due.getHours()} * * * ${command}`);
      for (const [i, part] of partsOf(lines).entries()) table(`burst-${i}`, part);
      const stamps = await stamped(bench, name, count, dueMs - systemClock.now() + SLACK_MS);
      return startsPerSecond(stamps, dueMs);
    },
    memory: () => factsOf(...descendantsOf(child.pid ?? -1)).residentBytes,
    async hold(count) {
      const lines = Array.from({ length: count }, () => "0 0 1 1 * root /bin/true");
      for (const [i, part] of partsOf(lines).entries()) table(`held-${i}`, part);
      await nextMinute();
      // The job of this minute starts when the tables have been read.
      await stamped(bench, "cron-skew", bench.stamps("cron-skew").length + 1, SLACK_MS);
      await systemClock.sleep(3000);
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** The namespace's first process is cron itself: whatever it has started ends with it, and it with `unshare`. */
function startIsolated(folder: string, program: string, env: NodeJS.ProcessEnv): ChildProcess {
  const isolate = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
  const child = spawn("unshare", [...isolate, "sh", "-c", IN_NAMESPACE, "sh", folder, program], {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  });
  const onExit = () => child.kill("SIGKILL");
  process.on("exit", onExit);
  child.once("exit", () => process.off("exit", onExit));
  return child;
}

async function alive(child: ChildProcess): Promise<void> {
  let words = "";
  child.stderr?.on("data", (data) => {
    words += data;
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code) => resolve(words.trim() || `it ended with ${code}`));
  });
  const failure = await Promise.race([ended, systemClock.sleep(1000)]);
  if (failure !== undefined) throw new Unavailable(`cron cannot run in namespaces of its own here: ${failure}`);
  await until("cron runs", () => descendantsOf(child.pid ?? -1).length > 0);
}

function partsOf(lines: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(lines.length / LINES_A_TABLE) }, (_, i) => lines.slice(i * LINES_A_TABLE, (i + 1) * LINES_A_TABLE));
}

/** Cron's own minute begins a little late; what it starts in the minute before has started. */
async function nextMinute(): Promise<void> {
  await systemClock.sleep(MINUTE_MS - (systemClock.now() % MINUTE_MS));
}
