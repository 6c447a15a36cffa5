/** `fleetcron up` as a process: it gets ready, keeps its children running, ends with them, and leaves nothing behind. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { type Cli, createCli, expectRun } from "../support/cli-process.ts";
import { startDaemon } from "../support/daemon.ts";
import { eventually } from "../support/fleet.ts";
import { childrenOf, isAlive, tempFolder, textOf, until } from "../support/processes.ts";
import { killSpawners, spawnersOf } from "../support/spawners.ts";

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
    killRest: () => ["node-1", "node-2"].map((node) => killSpawners(spawnerFolder(folder, node))),
  });

const spawnerFolder = (folder: string, node: string) => `${folder}/data/agents/${node}/spawner`;
const spawnersIn = (folder: string) => ["node-1", "node-2"].flatMap((node) => spawnersOf(spawnerFolder(folder, node)));

/** Starts an execution on each node that lasts; returns their pids by node. */
async function startLong(t: ExecutionContext, cli: Cli, folder: string): Promise<Map<string, number>> {
  const script = `echo "$FLEETCRON_NODE $$" >> ${folder}/long; sleep 300 & sleep 300`;
  const job = `jobs: { t/long: { run: { command: { script: '${script}' } }, rules: [{ mode: manyonce }] } }`;
  await expectRun(t, cli, "apply -f -", { code: 0 }, { stdin: job });
  return until("it runs on both nodes", () => {
    const lines = textOf(`${folder}/long`).matchAll(/^(\S+) (\d+)\n/gm);
    const pids = new Map([...lines].map(([, node = "", pid]) => [node, Number(pid)]));
    return pids.size === 2 && pids;
  });
}

const treeOf = (pids: Iterable<number>) => [...pids].flatMap((pid) => [pid, ...descendants(pid)]);

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

  const long = await startLong(t, cli, temp.path);
  const all = [...descendants(up.pid), ...spawnersIn(temp.path), ...treeOf(long.values())];
  t.true(all.length >= 12, all.map(commandOf).join("\n"));
  process.kill(up.pid, "SIGINT");
  t.is(await up.exited, 0, up.log());
  await untilGone([...all, ...spawnersIn(temp.path)]);
  t.deepEqual(
    readdirSync(temp.file("data")).filter((name) => name.startsWith("up.")),
    [],
  );
  t.false(existsSync(temp.file("up.ready")), "the ready file is gone");

  await up.restart();
  const again = createCli(temp.path, { FLEETCRON_SERVER: (up.ready as Ready).url, FLEETCRON_TOKEN: ready.token });
  await expectRun(t, again, "job ls -o name", { code: 0, out: /^t\/long\nt\/x\n$/ });
  await expectRun(t, again, "record ls --job t/long", { code: 0, out: /(\S+ +t\/long +node-[12] +killed .*\n){2}$/ });
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

test("when `up` itself is killed, its children and what they run end too", async (t) => {
  using temp = tempFolder();
  await using up = await startUp(temp.path, ["--agents", "2"]);
  const ready = up.ready as Ready;
  const long = await startLong(t, createCli(temp.path, { FLEETCRON_SERVER: ready.url, FLEETCRON_TOKEN: ready.token }), temp.path);
  const all = [...descendants(up.pid), ...spawnersIn(temp.path), ...treeOf(long.values())];
  await up.kill();
  await until("all have ended", () => !all.some(isAlive), 40_000);
  t.is(Number(readFileSync(temp.file("data/up.pid"), "utf8")), up.pid);
  await up.restart();
  t.is(await up.stop(), 0, "the lock that the killed one left does not count");
});

test("when `up` and its agents are killed at once, the next one takes over what its own nodes run and ends the rest", async (t) => {
  using temp = tempFolder();
  await using up = await startUp(temp.path, ["--agents", "2"]);
  const ready = up.ready as Ready;
  const long = await startLong(t, createCli(temp.path, { FLEETCRON_SERVER: ready.url, FLEETCRON_TOKEN: ready.token }), temp.path);
  // As where no program ends with its parent: etcd and the master go on, the agents can end nothing.
  const children = childrenOf(up.pid);
  for (const pid of children) process.kill(pid, "SIGSTOP");
  for (const pid of children.filter((pid) => commandOf(pid).includes("--node-id"))) process.kill(pid, "SIGKILL");
  await up.kill();
  t.true(treeOf(long.values()).every(isAlive));
  await using next = await startUp(temp.path, ["--agents", "1"]);
  await untilGone(children);
  await untilGone(treeOf([long.get("node-2") ?? 0]));
  t.true(isAlive(long.get("node-1") ?? 0), "it goes on");
  t.is(spawnersOf(spawnerFolder(temp.path, "node-2")).length, 0);
  const cli = createCli(temp.path, { FLEETCRON_SERVER: (next.ready as Ready).url, FLEETCRON_TOKEN: ready.token });
  const procs = () => cli("proc ls");
  const taken = await eventually("node-1 tells of it", async () => (await procs()).out.includes("t/long") && procs());
  t.regex(taken.out, new RegExp(`node-1 +${long.get("node-1")} +t/long`));
  const all = [...treeOf(long.values()), ...spawnersIn(temp.path)];
  t.is(await next.stop(), 0);
  await untilGone(all);
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
