/** Whatever a program does to get away: after a kill or a timeout nothing of it is left, with cgroups and without. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { findCgroupBase } from "../../packages/agent/src/spawner/cgroups.ts";
import { isAlive, textOf, until } from "../support/processes.ts";
import { fixture, type SupervisorBench, supervisorBench } from "../support/supervisor.ts";

const base = findCgroupBase();
const withCgroups = base !== undefined && existsSync(join(base, "cgroup.procs")) && process.getuid?.() === 0;
const MODES = withCgroups ? (["auto", "off"] as const) : (["off"] as const);

/** Each is given a last argument of its own, by which all its processes are found. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "ignores TERM": ["ignore-term"],
  "a tree of sixty generations": ["tree", "60"],
  "a daemon of the second generation": ["daemon"],
  "sessions of their own, with the output open": ["own-sessions"],
  "children that nobody waits for": ["zombies"],
  "a stopped tree": ["stopped-tree"],
  "a fork bomb of 200": ["fork-bomb", "200"],
};

function withToken(token: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && textOf(`/proc/${pid}/cmdline`).split("\0").includes(token) && isAlive(pid));
}

function startWild(bench: SupervisorBench, name: string, more: object) {
  const [program = "", ...args] = PROGRAMS[name] ?? [];
  const token = `token-${name.replaceAll(" ", "-")}-${process.pid}`;
  return { token, ...bench.start([fixture(program), ...args, token], more) };
}

async function nothingIsLeft(t: ExecutionContext, run: { token: string; pids(): number[] }): Promise<void> {
  t.deepEqual(withToken(run.token), []);
  t.deepEqual(run.pids().filter(isAlive), []);
}

for (const cgroup of MODES) {
  for (const name of Object.keys(PROGRAMS)) {
    test.serial(`killed, cgroup ${cgroup}: ${name}`, async (t) => {
      await using bench = await supervisorBench({ cgroup });
      const run = startWild(bench, name, { killGraceMs: 100 });
      await run.ready();
      const asked = systemClock.mono();
      run.kill("alice", "enough");
      t.deepEqual((await run.ended).outcome, { type: "killed", by: "alice", reason: "enough" });
      t.true(systemClock.mono() - asked < 4000, "within the time in which it gives up");
      await nothingIsLeft(t, run);
    });

    test.serial(`timed out, cgroup ${cgroup}: ${name}`, async (t) => {
      await using bench = await supervisorBench({ cgroup });
      const run = startWild(bench, name, { killGraceMs: 100, timeoutMs: 1000 });
      await run.ready();
      t.deepEqual((await run.ended).outcome, { type: "timeout", afterMs: 1000 });
      await nothingIsLeft(t, run);
    });
  }
}

const whereCgroups = withCgroups ? test.serial : test.serial.skip;

const asRoot = process.getuid?.() === 0 ? test.serial : test.serial.skip;

for (const cgroup of MODES)
  asRoot(`a daemon with a session of its own and an empty environment does not get away, cgroup ${cgroup}`, async (t) => {
    await using bench = await supervisorBench({ cgroup });
    const run = bench.start([fixture("hidden-daemon")], { killGraceMs: 100 });
    const other = bench.start([fixture("hidden-daemon")]);
    await Promise.all([run.ready(), other.ready()]);
    const [daemon = 0] = run.pids();
    t.is(textOf(`/proc/${daemon}/environ`), "");
    run.kill("alice", "enough");
    t.is((await run.ended).outcome.type, "killed");
    t.false(isAlive(daemon));
    t.deepEqual(other.pids().map(isAlive), [true], "nor does that of another run");
  });

whereCgroups("no cgroup is left, also of runs that have left a child behind", async (t) => {
  await using bench = await supervisorBench();
  const folder = join(base ?? "", "fleetcron");
  const groupsOf = (...ids: string[]) => readdirSync(folder).filter((name) => ids.some((id) => name.startsWith(id)));
  const runs = Array.from({ length: 8 }, () => bench.start(["sh", "-c", 'sleep 1000 & echo "pid $!"; sleep 0.6']));
  await Promise.all(runs.map((run) => run.ended));
  const ids = runs.map((run) => run.spec.execution);
  const children = runs.flatMap((run) => run.pids());
  t.is(children.length, 8);
  for (const pid of children) process.kill(pid, "SIGKILL");
  await until("they are gone", () => !children.some(isAlive));
  for (let more = 0; more < 8; more++) await bench.start(["sleep", "0.5"]).ended;
  t.deepEqual(groupsOf(...ids), []);
});

whereCgroups("a spawner that takes over finds the cgroup of the one before", async (t) => {
  await using bench = await supervisorBench();
  const run = bench.start([fixture("hidden-daemon")], { killGraceMs: 100 });
  await run.ready();
  const [daemon = 0] = run.pids();
  await until("it has its cgroup", () => textOf(`/proc/${daemon}/cgroup`).includes(run.spec.execution));
  const spawner = Number(/^PPid:\s+(\d+)$/m.exec(textOf(`/proc/${daemon}/status`))?.[1]);
  process.kill(spawner, "SIGKILL");
  await until("the next one watches", () => bench.supervisor.running === 1 && !isAlive(spawner));
  t.deepEqual((await bench.start(["sleep", "0.5"]).ended).outcome, { type: "exit", code: 0 });
  run.kill("alice", "enough");
  t.is((await run.ended).outcome.type, "killed");
  t.false(isAlive(daemon));
});

for (const cgroup of MODES)
  test.serial(`two hundred that ignore TERM are gone soon after their grace, cgroup ${cgroup}`, async (t) => {
    await using bench = await supervisorBench({ cgroup });
    const runs = Array.from({ length: 200 }, () => bench.start([fixture("ignore-term")], { killGraceMs: 300 }));
    const pids = await Promise.all(runs.map((run) => run.ready()));
    const asked = systemClock.mono();
    for (const run of runs) run.kill("alice", "enough");
    const ends = await Promise.all(runs.map((run) => run.ended));
    const tookMs = systemClock.mono() - asked;
    t.true(ends.every(({ outcome }) => outcome.type === "killed"));
    t.deepEqual(pids.filter(isAlive), []);
    t.log(`${tookMs.toFixed(0)} ms`);
    t.true(tookMs < 3000, `${tookMs} ms`);
  });
