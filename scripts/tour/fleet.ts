/** The fleet that the quickstart starts: `fleetcron up` as a child in a folder of its own, and commands given to it. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const BIN = join(root, "packages/master/bin/fleetcron.js");
const READY_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 30_000;

/** What `up --ready-file` writes. */
export type Ready = { readonly url: string; readonly token: string; readonly etcd: string; readonly nodes: readonly string[] };

export type Fleet = Ready & {
  readonly dir: string;
  readonly pid: number;
  /** Runs `fleetcron …args` against this fleet, its output on the terminal; throws when it fails. */
  command(...args: string[]): Promise<void>;
  /** Ends everything, removes the folder, and returns the processes that are left, which should be none. */
  stop(): Promise<string[]>;
};

/** Starts etcd, a master and `agents` agents, with `more` in their environment; resolves when they are ready, throws with the end of their log when they are not in time. */
export async function startFleet(agents: number, more: Readonly<Record<string, string>> = {}): Promise<Fleet> {
  const dir = await mkdtemp(join(tmpdir(), "fleetcron-quickstart-"));
  const readyFile = join(dir, "ready.json");
  const logFile = join(dir, "up.log");
  const log = openSync(logFile, "a");
  const args = ["up", "--agents", String(agents), "--listen", "127.0.0.1:0", "--data-dir", join(dir, "data"), "--ready-file", readyFile];
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: root,
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, ...more },
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()).once("error", () => resolve()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    const stopped = await Promise.race([ended.then(() => true), sleep(STOPPED_WITHIN_MS).then(() => false)]);
    const left = stopped ? processesOf(dir) : [`${child.pid} fleetcron up does not end`, ...processesOf(dir)];
    rmSync(dir, { recursive: true, force: true });
    return left;
  };
  const ready = await waitForFile(readyFile, READY_WITHIN_MS, () => child.exitCode === null && child.signalCode === null);
  if (ready === undefined || child.pid === undefined) {
    const tail = readFileSync(logFile, "utf8").split("\n").slice(-20).join("\n");
    await stop();
    throw new Error(`the fleet did not start; the end of its log:\n${tail}`);
  }
  child.unref();
  const { url, token, etcd, nodes } = JSON.parse(ready) as Ready;
  const env = { ...process.env, FLEETCRON_SERVER: url, FLEETCRON_TOKEN: token };
  const command = (...words: string[]) =>
    new Promise<void>((resolve, reject) => {
      console.log(`\n$ npm exec -- fleetcron ${words.map((word) => (/[\s'"$]/.test(word) ? JSON.stringify(word) : word)).join(" ")}`);
      const run = spawn(process.execPath, [BIN, ...words], { cwd: root, stdio: ["ignore", "inherit", "inherit"], env });
      run.once("error", reject);
      run.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`fleetcron ${words[0]} ended with ${code}`))));
    });
  return { url, token, etcd, nodes, dir, pid: child.pid, command, stop };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

/** The text of a file once it is there and whole (JSON), or undefined when the time is over or `alive` says no. */
async function waitForFile(path: string, withinMs: number, alive: () => boolean): Promise<string | undefined> {
  for (const until = Date.now() + withinMs; Date.now() < until && alive(); await sleep(100)) {
    try {
      const text = readFileSync(path, "utf8");
      JSON.parse(text);
      return text;
    } catch {
      // not there yet, or half written
    }
  }
  return undefined;
}

/** Processes whose command line names `dir`, as `pid command line`. */
function processesOf(dir: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return line.includes(dir) ? [`${pid} ${line}`] : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}
