/** What a command may use and what it has used: limits, priority, user and groups together, on the real thing; and the ends that they bring about. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { isAlive, textOf, until } from "../support/processes.ts";
import { supervisorBench } from "../support/supervisor.ts";

const asRoot = process.getuid?.() === 0 ? test : test.skip;
const MIB = 2 ** 20;
const RIGHTS =
  "id -u; id -g; id -G; nice; umask; ulimit -n; ulimit -v; ulimit -St; ulimit -Ht; grep -c . /proc/self/environ; grep CapEff /proc/self/status";

test("limits hold for the command", async (t) => {
  await using bench = await supervisorBench();
  const run = bench.start(["sh", "-c", "ulimit -n; ulimit -v; ulimit -St"], {
    limits: { nofile: 100, memoryBytes: 64 * MIB, cpuSeconds: 9 },
  });
  t.deepEqual((await run.ended).outcome, { type: "exit", code: 0 });
  t.is(run.log(), `100\n${64 * 1024}\n9\n`);
  const hungry = bench.start(["perl", "-e", "my $x = 'x' x 200_000_000; print 'had it'"], { limits: { memoryBytes: 64 * MIB } });
  t.notDeepEqual((await hungry.ended).outcome, { type: "exit", code: 0 });
  t.notRegex(hungry.log(), /had it/);
  t.deepEqual((await bench.start(["sh", "-c", "ulimit -n 90; ulimit -n"], {}).ended).outcome, { type: "exit", code: 0 });
});

test("used-up cpu time ends the command, and the record names the limit", async (t) => {
  await using bench = await supervisorBench();
  const end = await bench.start(["sh", "-c", "while :; do :; done"], { limits: { cpuSeconds: 1 } }).ended;
  t.deepEqual(end.outcome, { type: "signal", name: "SIGXCPU", sender: "the kernel: limits.cpu (1 s) is used up" });
  // The kernel holds the limit by its ticks, of which a busy machine gives others a part.
  t.true((end.usage?.cpuMs ?? 0) >= 500, JSON.stringify(end.usage));
});

test("usage: the command's own and that of the children that it waited for", async (t) => {
  await using bench = await supervisorBench();
  const burn = "my $x = 'x' x 60_000_000; my $end = (times)[0] + 0.3; 1 while (times)[0] < $end";
  const own = await bench.start(["perl", "-e", burn]).ended;
  const child = await bench.start(["sh", "-c", `perl -e "${burn.replaceAll("$", "\\$")}"; true`]).ended;
  for (const { usage } of [own, child]) {
    t.true((usage?.cpuMs ?? 0) >= 290 && (usage?.cpuMs ?? 0) < 3000, JSON.stringify(usage));
    t.true((usage?.maxRssKiB ?? 0) > 58_000 && (usage?.maxRssKiB ?? 0) < 300_000, JSON.stringify(usage));
  }
  const idle = await bench.start(["sleep", "0.3"]).ended;
  t.true((idle.usage?.cpuMs ?? 99) < 50, JSON.stringify(idle.usage));
});

asRoot("another user, supplementary groups, priority, umask and limits together", async (t) => {
  await using bench = await supervisorBench();
  const ids = { uid: 65534, gid: 1, groups: [1, 4, 20] };
  const limits = { nofile: 5000, memoryBytes: 512 * MIB, cpuSeconds: 7 };
  for (const cgroup of ["auto", "off"] as const) {
    await using other = await supervisorBench({ cgroup });
    const run = other.start(["sh", "-c", RIGHTS], { ids, limits, nice: -4, umask: 0o027 });
    t.deepEqual((await run.ended).outcome, { type: "exit", code: 0 });
    const lines = run.log().trim().split("\n");
    t.deepEqual(lines.slice(0, 9), ["65534", "1", "1 4 20", "-4", "0027", "5000", String(512 * 1024), "7", "12"]);
    t.is(lines.at(-1), "CapEff:\t0000000000000000");
  }
  const next = bench.start(["sh", "-c", RIGHTS]);
  await next.ended;
  t.deepEqual(next.log().split("\n").slice(0, 2), ["0", "0"], "the next one is itself again");
  t.is(next.log().split("\n")[3], "0");
});

asRoot("what runs as another user is ended like all else", async (t) => {
  await using bench = await supervisorBench();
  const run = bench.start(["sh", "-c", "trap '' TERM; setsid sleep 1000 & echo pid $!; echo ready; while :; do sleep 1; done"], {
    ids: { uid: 65534, gid: 65534, groups: [] },
    limits: { nofile: 50 },
    killGraceMs: 100,
  });
  const pid = await run.ready();
  run.kill("alice", "enough");
  t.is((await run.ended).outcome.type, "killed");
  t.deepEqual([pid, ...run.pids()].filter(isAlive), []);
});

/** A cgroup (v1) with a limit of memory that stands for a host without any. */
const own = /^\d+:memory:(.*)$/m.exec(textOf("/proc/self/cgroup"))?.[1];
const memory = own === undefined ? undefined : join("/sys/fs/cgroup/memory", own);
const whereMemory = memory !== undefined && existsSync(memory) && process.getuid?.() === 0 ? test.serial : test.serial.skip;

whereMemory("killed by the kernel for memory: the outcome says so", async (t) => {
  await using bench = await supervisorBench();
  const group = join(memory ?? "", `fleetcron-test-${process.pid}`);
  mkdirSync(group);
  writeFileSync(join(group, "memory.limit_in_bytes"), String(32 * MIB));
  const gate = join(bench.folder, "gate");
  const run = bench.start([
    "perl",
    "-e",
    `$| = 1; print "ready\\n"; select undef, undef, undef, 0.02 until -e '${gate}'; my $x = 'x' x 200_000_000`,
  ]);
  writeFileSync(join(group, "cgroup.procs"), String(await run.ready()));
  writeFileSync(gate, "");
  t.deepEqual((await run.ended).outcome, { type: "oom" });
  await until("the cgroup is empty", () => textOf(join(group, "cgroup.procs")) === "");
  rmdirSync(group);
});

test("killed by somebody on the host: the record does not blame the agent", async (t) => {
  await using bench = await supervisorBench();
  const run = bench.start(["sleep", "1000"]);
  const pid = (await run.started)?.pid ?? 0;
  process.kill(pid, "SIGTERM");
  const { outcome } = await run.ended;
  t.like(outcome, { type: "signal", name: "SIGTERM" });
  t.regex(outcome.type === "signal" ? (outcome.sender ?? "") : "", /somebody on the host .*not the agent/);
});
