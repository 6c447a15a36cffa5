/** What a restarted agent takes for its own, and what not: forged memories, a host that was started again, an agent without root's rights, a large burst. */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { Op } from "fleetcron-shared/store/kv";
import { type AgentBench, detailOf, startAgentBench, words } from "../support/agent-bench.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive, textOf, until } from "../support/processes.ts";
import { spawnersOf } from "../support/spawners.ts";

const NOBODY = 65534;
/** So long the agent gives itself to carry a lock over (run/recover.ts). */
const CARRY_WITHIN_MS = 3000;
const order = (script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const spawnersIn = (bench: AgentBench) => join(bench.folder, "data-n1", "spawner");

/** Kills the agent and its spawner; what they started lives on. */
async function crash(bench: AgentBench): Promise<void> {
  await bench.agent("n1").kill();
  const pids = spawnersOf(spawnersIn(bench));
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("the spawner is gone", () => !pids.some(isAlive));
}

function rewriteLogbooks(bench: AgentBench, change: (text: string) => string): void {
  for (const name of readdirSync(spawnersIn(bench)).filter((each) => each.endsWith(".runs"))) {
    const path = join(spawnersIn(bench), name);
    writeFileSync(path, change(readFileSync(path, "utf8")));
  }
}

async function runningPid(bench: AgentBench, job: string): Promise<number> {
  const proc = await eventually(`${job} runs`, async () => (await bench.procs("n1")).find(({ pid }) => pid > 0));
  return proc.pid;
}

test("a pid that another process has by now is never taken over, whatever the logbook says", async (t) => {
  await using bench = await startAgentBench();
  const script = `sleep 1000 & sleep 1001`;
  await bench.run("n1", "t/victim", order(script));
  const pid = await runningPid(bench, "t/victim");
  await crash(bench);
  process.kill(-pid, "SIGKILL");
  const { spawn } = await import("node:child_process");
  const stranger = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  t.teardown(() => stranger.kill("SIGKILL"));
  rewriteLogbooks(bench, (text) => text.replaceAll(`"pid":${pid}`, `"pid":${stranger.pid}`));
  await bench.agent("n1").restart();
  await eventually("it has its record", async () => (await bench.records("t/victim")).length === 1);
  const [record] = await bench.records("t/victim");
  t.is(words(record!), "1 lost:supervisor");
  await bench.kill("n1", record!.execution);
  await bench.run("n1", "t/next", order("true"));
  await eventually("later orders are carried out", async () => (await bench.records("t/next")).length === 1);
  t.true(isAlive(stranger.pid ?? 0));
});

test("an alone process that agent and spawner left ends when its lock is another's by then, and goes on when it is still its own", async (t) => {
  await using bench = await startAgentBench({ args: ["--session-ttl", "20s"] });
  const beats = join(bench.folder, "beats");
  const alone = order(`while :; do date +%s%3N > ${beats}; sleep 0.1; done`, { kind: "alone", killGrace: "1m" });
  await bench.run("n1", "t/ours", alone);
  const ours = await runningPid(bench, "t/ours");
  await crash(bench);
  await bench.agent("n1").restart();
  const backMs = systemClock.now();
  await eventually("it goes on beyond the time to carry its lock over", async () => Number(textOf(beats)) > backMs + CARRY_WITHIN_MS);
  t.true(isAlive(ours));
  await crash(bench);
  await bench.kv.txn({ if: [], then: [{ op: "delete", key: bench.keys.lock("t", "ours") }] });
  await bench.agent("n1").restart();
  const [record] = await eventually("it has its record", async () => {
    const records = await bench.records("t/ours");
    return records.length === 0 ? undefined : records;
  });
  t.is(record?.outcome.type, "lockLost");
  t.false(isAlive(ours));
});

test("after the host was started again: what ran is lost with it, what had ended by then counts, what waited goes on", async (t) => {
  await using bench = await startAgentBench();
  await bench.run("n1", "t/ran", order("sleep 1000"));
  const pid = await runningPid(bench, "t/ran");
  const gate = bench.file("gate");
  await bench.run("n1", "t/ended", order(`while ! test -e ${gate}; do sleep 0.02; done; exit 4`));
  await bench.run("n1", "t/waits", order("exit 1", { retry: { limit: 1, delay: "3s" } }));
  await eventually("one waits", async () => (await bench.records("t/waits")).length === 1);
  await eventually("two run", async () => (await bench.procs("n1")).filter((proc) => proc.pid > 0).length === 2);
  await bench.agent("n1").kill();
  writeFileSync(gate, "");
  await until("the end is in the logbook", () =>
    readdirSync(spawnersIn(bench)).some(
      (name) => name.endsWith(".runs") && readFileSync(join(spawnersIn(bench), name), "utf8").includes('"code":4'),
    ),
  );
  await crash(bench);
  process.kill(-pid, "SIGKILL");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  rewriteLogbooks(bench, (text) => text.replaceAll(boot, "the-boot-before"));
  const db = new DatabaseSync(join(bench.folder, "data-n1", "journal.db"));
  db.exec(`update executions set data = replace(data, '${boot}', 'the-boot-before')`);
  db.close();
  await bench.agent("n1").restart();
  await eventually("all have their records", async () => (await bench.records()).length === 4);
  t.deepEqual((await bench.records("t/ran")).map(words), ["1 lost:reboot"]);
  t.deepEqual((await bench.records("t/ended")).map(words), ["1 exit:4"]);
  t.deepEqual((await bench.records("t/waits")).map(words), ["1… exit:1", "2 exit:1"]);
  await bench.idle();
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot("an agent without root's rights does all that needs none, and says what needs them", async (t) => {
  await using bench = await startAgentBench({ nodes: [] });
  chmodSync(bench.folder, 0o777);
  const dataDir = join(bench.folder, "data-n1");
  mkdirSync(dataDir);
  chownSync(dataDir, NOBODY, NOBODY);
  await bench.add("n1", { wrapper: ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"] });
  const limits = { nofile: 100, memory: "256MiB", cpu: "9s" };
  const script = "id -u; ulimit -n; ulimit -v; ulimit -St; nice; umask";
  await bench.run("n1", "t/limits", order("", { run: { command: { script, limits, nice: 5, umask: "027", user: String(NOBODY) } } }));
  await bench.run("n1", "t/root", order("", { run: { command: { script: "true", user: "root" } } }));
  await eventually("both have records", async () => (await bench.records()).length === 2);
  t.is((await bench.records("t/limits"))[0]?.output?.tail, `${NOBODY}\n100\n${256 * 1024}\n9\n5\n0027\n`);
  const [refused] = await bench.records("t/root");
  t.regex(
    refused?.outcome.type === "spawnFailed" ? refused.outcome.error : "",
    /runs as uid 65534 and cannot run a command as user "root"/,
  );

  const execution = await bench.run("n1", "t/tree", order("trap '' TERM; setsid sleep 1000 & sleep 1001", { killGrace: "200ms" }));
  const pid = await runningPid(bench, "t/tree");
  await bench.agent("n1").restart();
  t.is((await eventually("it is there again", async () => (await bench.procs("n1"))[0])).pid, pid);
  await bench.kill("n1", execution);
  await eventually("it is ended", async () => (await bench.records("t/tree")).length === 1);
  const [killed] = await bench.records("t/tree");
  t.is(detailOf(killed!), "alice: enough");
  t.false(isAlive(pid));
});

test("two thousand starts at one instant lose no session of five seconds", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: [] });
  await bench.add("n1", { args: ["--capacity", "2000", "--session-ttl", "5s"] });
  const key = bench.keys.alive("n1");
  const before = await bench.kv.get(key);
  const at = new Date(systemClock.now()).toISOString();
  const dueAt = new Date(Math.ceil(systemClock.now() / 1000) * 1000 + 6000).toISOString();
  const spec = { run: { command: { argv: ["/bin/true"], cwd: "/" } }, rules: [{ mode: "cycle", timer: `@at ${dueAt}` }] };
  for (let from = 0; from < 2000; from += 100) {
    const then: Op[] = Array.from({ length: 100 }, (_, offset) => {
      const id = `j${from + offset}`;
      const value = JSON.stringify({
        v: 1,
        group: "t",
        id,
        revision: 1,
        createdAt: at,
        updatedAt: at,
        submittedAt: at,
        spec,
        rules: { r1: [] },
      });
      return { op: "put", key: bench.keys.dispatch("n1", "t", id), value };
    });
    await bench.kv.txn({ then });
  }
  const ended = async () => (await bench.kv.range({ start: bench.keys.inbox, end: `${bench.keys.inbox}~`, countOnly: true })).count;
  await eventually("all have ended", async () => (await ended()) === 2000, 90_000);
  const after = await bench.kv.get(key);
  t.deepEqual([after?.createRevision, after?.lease], [before?.createRevision, before?.lease]);
  const records = await bench.records();
  t.true(records.every((record) => record.success && record.dueAt === dueAt));
});
