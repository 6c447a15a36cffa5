/** `fleetcron up` as a process: it gets ready, keeps its children running, ends with them, and leaves nothing behind. */
import { existsSync, readFileSync } from "node:fs";
import test from "ava";
import { createCli, expectRun } from "../support/cli-process.ts";
import { startDaemon } from "../support/daemon.ts";
import { childrenOf, isAlive, tempFolder, textOf, until } from "../support/processes.ts";

type Ready = { url: string; token: string; etcd: string[]; nodes: string[] };

const commandOf = (pid: number) => textOf(`/proc/${pid}/cmdline`).replaceAll("\0", " ");

/** Pids of everything that a process has started, and what these have. */
function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

/** What the children have started ends a moment after them, when it sees that they are gone. */
async function untilGone(pids: readonly number[]): Promise<void> {
  await until("everything has ended", () => !pids.some(isAlive), 3000).catch(() => {
    throw new Error(`still running:\n${pids.filter(isAlive).map(commandOf).join("\n")}`);
  });
}

const startUp = (folder: string, args: readonly string[]) =>
  startDaemon({
    program: "fleetcron",
    name: "up",
    folder,
    args: ["up", "--listen", "127.0.0.1:0", "--data-dir", `${folder}/data`, ...args],
    env: { HOME: folder },
  });

test("two agents run a job; a killed one comes back; Ctrl-C leaves nothing running, and the data stays", async (t) => {
  using temp = tempFolder();
  await using up = await startUp(temp.path, ["--agents", "2"]);
  const ready = up.ready as Ready;
  t.deepEqual(ready.nodes, ["node-1", "node-2"]);
  t.regex(up.log(), /ready: http:\/\/127\.0\.0\.1:\d+, etcd http.*, nodes node-1 node-2, .*; Ctrl-C stops it\n/);
  const cli = createCli(temp.path, { FLEETCRON_SERVER: ready.url, FLEETCRON_DATA_DIR: temp.file("data") });
  const job = 'jobs: { t/x: { run: { command: { script: "echo fine" } }, rules: [{ mode: manyonce }] } }';
  await expectRun(t, cli, "apply -f -", { code: 0 }, { stdin: job });
  await expectRun(t, cli, "job run t/x --wait", { code: 0, out: /^node-1: [\s\S]*fine\nnode-2: [\s\S]*fine\n$/ });
  await expectRun(t, cli, ["up", "--listen", "127.0.0.1:0", "--data-dir", temp.file("data")], {
    code: 2,
    err: new RegExp(`another \`fleetcron up\` \\(pid ${up.pid}\\) uses .*data\n.*--data-dir`),
  });

  const agent = childrenOf(up.pid).find((pid) => commandOf(pid).includes("--node-id node-1")) ?? 0;
  process.kill(agent, "SIGKILL");
  await until("node-1 runs again", () => childrenOf(up.pid).some((pid) => pid !== agent && commandOf(pid).includes("--node-id node-1")));
  t.regex(up.log(), /node-1 ended \(signal SIGKILL\); it is started again in \d/);

  const all = descendants(up.pid);
  t.true(all.length >= 4, all.map(commandOf).join("\n"));
  process.kill(up.pid, "SIGINT");
  t.is(await up.exited, 0, up.log());
  await untilGone(all);
  t.false(existsSync(temp.file("up.ready")), "the ready file is gone");

  await up.restart();
  const again = createCli(temp.path, { FLEETCRON_SERVER: (up.ready as Ready).url, FLEETCRON_TOKEN: ready.token });
  await expectRun(t, again, "job ls -o name", { code: 0, out: /^t\/x\n$/ });
  t.is(await up.stop(), 0);
});

test("without its etcd there is nothing left to run: exit code 6, its log is named, nothing is left", async (t) => {
  using temp = tempFolder();
  await using up = await startUp(temp.path, []);
  const all = descendants(up.pid);
  const etcd = all.find((pid) => commandOf(pid).startsWith("etcd ")) ?? 0;
  process.kill(etcd, "SIGKILL");
  t.is(await up.exited, 6);
  t.regex(up.log(), /error: etcd ended \(signal SIGKILL\): [\s\S]*to do: its log is .*etcd\.log\n/);
  t.notRegex(up.log(), /\n\s+at /);
  await untilGone(all);
});

test("when `up` itself is killed, its children end too", async (t) => {
  using temp = tempFolder();
  await using up = await startUp(temp.path, []);
  const all = descendants(up.pid);
  await up.kill();
  await until("all have ended", () => !all.some(isAlive));
  t.is(Number(readFileSync(temp.file("data/up.pid"), "utf8")), up.pid);
  await up.restart();
  t.is(await up.stop(), 0, "the lock that the killed one left does not count");
});

test("a child that cannot start ends `up` with its own words and exit code", async (t) => {
  using temp = tempFolder();
  const cli = createCli(temp.path);
  const args = "up --listen 127.0.0.1:0 --data-dir data";
  const wrong = {
    code: 2,
    err: /node-1 ended at its start \(exit code 2\): .*FLEETCRON_AGENT_CAPACITY[^\n]*\n +to do: its log is .*node-1\.log\n/,
  };
  await expectRun(t, cli, args, wrong, { env: { FLEETCRON_AGENT_CAPACITY: "lots" } });
  await expectRun(t, cli, `${args} --node-name bad/name`, { code: 2, err: /--node-name "bad\/name" cannot begin the id of a node/ });
});
