import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import { openSupervisor, type Running, type StartSpec } from "../../packages/agent/src/run/supervisor.ts";
import { groupMembers, isAlive, processState, textOf, until } from "../support/processes.ts";
import { endSpawners, spawnersOf } from "../support/spawners.ts";
import { BOOT_ID, fixture, type SupervisorBench, supervisorBench } from "../support/supervisor.ts";

/** A process that stands for an agent, on a folder of its own in the bench's; it runs these requests. */
async function client(bench: SupervisorBench, ...specs: StartSpec[]): Promise<{ agent: number; spawners: string; pids: number[] }> {
  const spawners = join(bench.folder, "other");
  const child = spawn(process.execPath, [join(import.meta.dirname, "../fixtures/supervisor-client.ts"), spawners, JSON.stringify(specs)], {
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  process.on("exit", () => child.kill("SIGKILL"));
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  // A test that fails leaves it, stopped perhaps: that must not hold up the end of this process.
  child.unref();
  (child.stdout as Socket).unref();
  return { agent: child.pid ?? 0, spawners, pids: JSON.parse(line) as number[] };
}

test("processes outlive a killed agent, and the next one takes them over with their true ends", async (t) => {
  await using bench = await supervisorBench();
  const gate = join(bench.folder, "gate");
  const waits = bench.spec(["sh", "-c", `echo ready; while [ ! -e ${gate} ]; do sleep 0.02; done; exit 7`]);
  const ends = bench.spec(["sh", "-c", "exit 5"]);
  const tree = bench.spec([fixture("tree"), "3"]);
  const { agent, spawners, pids } = await client(bench, waits, ends, tree);
  await until("the tree is complete", () => textOf(tree.logPath).includes("ready"));
  process.kill(agent, "SIGKILL");
  await until("the agent is gone", () => !isAlive(agent));
  const next = await openSupervisor({ clock: systemClock, log: silentLog }, { folder: spawners, version: "test", bootId: BOOT_ID });
  const [first, second, third] = [waits, ends, tree].map((spec) => next.resume(spec) as Running);
  t.deepEqual((await second?.ended)?.outcome, { type: "exit", code: 5 });
  t.deepEqual(await Promise.all([first, second, third].map(async (run) => (await run?.started)?.pid)), pids);
  writeFileSync(gate, "");
  t.deepEqual((await first?.ended)?.outcome, { type: "exit", code: 7 });
  third?.kill("alice", "after the restart");
  t.like((await third?.ended)?.outcome, { type: "killed", by: "alice" });
  t.deepEqual(groupMembers(pids[2] ?? 0), []);
  t.is(next.resume(bench.spec(["true"])), undefined);
  await next.close({ stopExecutions: true });
  await endSpawners(spawners);
});

test("timeouts hold without an agent, and their ends are kept until one comes", async (t) => {
  await using bench = await supervisorBench();
  const spec = bench.spec([fixture("ignore-term")], { timeoutMs: 500, killGraceMs: 100 });
  const { agent, spawners, pids } = await client(bench, spec);
  process.kill(agent, "SIGKILL");
  await until("the process is gone", () => groupMembers(pids[0] ?? 0).length === 0);
  await until("the spawner had nothing more to do", () => spawnersOf(spawners).length === 0);
  const next = await openSupervisor({ clock: systemClock, log: silentLog }, { folder: spawners, version: "test", bootId: BOOT_ID });
  const run = next.resume(spec) as Running;
  t.deepEqual((await run.ended).outcome, { type: "timeout", afterMs: 500 });
  t.is((await run.started)?.pid, pids[0]);
  next.noted(spec);
  next.settle();
  t.deepEqual(readdirSync(spawners).filter((name) => name.endsWith(".runs")).length, 1, "only that of its own spawner");
  await next.close({ stopExecutions: true });
});

test("a deadline holds while the agent is stopped", async (t) => {
  await using bench = await supervisorBench();
  const spec = bench.spec([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 10_000, killGraceMs: 60_000 });
  const deadlineAt = systemClock.now() + 10_000;
  const { agent, spawners, pids } = await client(bench, spec);
  process.kill(agent, "SIGSTOP");
  await until("the agent is stopped", () => processState(agent) === "T");
  t.true(isAlive(pids[0] ?? 0));
  await until("the execution is gone", () => groupMembers(pids[0] ?? 0).length === 0);
  t.is(processState(agent), "T");
  t.true(Number(textOf(spec.logPath).trim().split("\n").at(-1)) / 1e6 < deadlineAt);
  process.kill(agent, "SIGKILL");
  await endSpawners(spawners);
});

test("the next agent moves a deadline only by name", async (t) => {
  await using bench = await supervisorBench();
  const deadlineMono = systemClock.mono() + 4000;
  const specs = [bench.spec([fixture("heartbeat")], { deadlineMono }), bench.spec([fixture("heartbeat")], { deadlineMono })];
  const { agent, spawners } = await client(bench, ...specs);
  process.kill(agent, "SIGKILL");
  const next = await openSupervisor({ clock: systemClock, log: silentLog }, { folder: spawners, version: "test", bootId: BOOT_ID });
  const [kept, left] = specs.map((spec) => next.resume(spec) as Running);
  kept?.extend(deadlineMono + 60_000);
  next.extendAll(deadlineMono + 60_000);
  t.deepEqual((await left?.ended)?.outcome, { type: "lockLost" });
  const log = textOf(specs[0]?.logPath ?? "");
  await until("the other one beats on", () => textOf(specs[0]?.logPath ?? "").length > log.length);
  await next.close({ stopExecutions: true });
  t.is((await kept?.ended)?.outcome.type, "killed");
});

test("signals to the agent's session or the spawner do not end executions", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("ignore-term")]);
  const pid = await running.ready();
  const [spawner = 0] = spawnersOf(bench.spawners);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(spawner, signal);
  t.deepEqual((await bench.start(["true"]).ended).outcome, { type: "exit", code: 0 });
  t.true(isAlive(pid));
});

test("when the spawner is killed, the next one watches over what it left, and nobody claims to know the exit status", async (t) => {
  await using bench = await supervisorBench();
  const gate = join(bench.folder, "gate");
  const waits = bench.start(["sh", "-c", `echo ready; while [ ! -e ${gate} ]; do sleep 0.02; done; exit 0`]);
  const tree = bench.start([fixture("tree"), "3"]);
  const late = bench.start([fixture("ignore-term")], { timeoutMs: 2000, killGraceMs: 100 });
  const pids = [await waits.ready(), await tree.ready(), await late.ready()];
  const [spawner = 0] = spawnersOf(bench.spawners);
  process.kill(spawner, "SIGKILL");
  t.deepEqual((await bench.start(["sh", "-c", "exit 3"]).ended).outcome, { type: "exit", code: 3 });
  t.deepEqual(pids.map(isAlive), [true, true, true]);
  tree.kill("alice", "stop");
  t.like((await tree.ended).outcome, { type: "killed", by: "alice" });
  t.deepEqual((await late.ended).outcome, { type: "timeout", afterMs: 2000 });
  t.deepEqual(pids.slice(1).flatMap(groupMembers), []);
  writeFileSync(gate, "");
  t.deepEqual((await waits.ended).outcome, { type: "lost", why: "supervisor" });
  t.is(bench.supervisor.running, 0);
});

test("agent and spawner killed together: what lives is watched over, what is gone is lost", async (t) => {
  await using bench = await supervisorBench();
  const lives = bench.spec([fixture("heartbeat")]);
  const goes = bench.spec([fixture("heartbeat")]);
  const { agent, spawners, pids } = await client(bench, lives, goes);
  for (const pid of [agent, ...spawnersOf(spawners), pids[1] ?? 0]) process.kill(pid, "SIGKILL");
  await until("both are gone", () => !isAlive(agent) && spawnersOf(spawners).length === 0);
  const options = { folder: spawners, version: "test", bootId: BOOT_ID };
  const next = await openSupervisor({ clock: systemClock, log: silentLog }, options);
  const [first, second] = [lives, goes].map((spec) => next.resume(spec) as Running);
  t.deepEqual((await second?.ended)?.outcome, { type: "lost", why: "supervisor" });
  first?.kill("alice", "stop");
  t.is((await first?.ended)?.outcome.type, "killed");
  t.false(isAlive(pids[0] ?? 0));
  await next.close({ stopExecutions: true });
});

test("after a reboot nothing is taken over, but ends that were written down count", async (t) => {
  await using bench = await supervisorBench();
  const ended = bench.spec(["sh", "-c", "exit 4"]);
  const runs = bench.spec([fixture("heartbeat")]);
  const { agent, spawners, pids } = await client(bench, ended, runs);
  process.kill(agent, "SIGKILL");
  await until("the first has ended", () => !isAlive(pids[0] ?? 0));
  await until("the logbook says so", () =>
    readdirSync(spawners).some((name) => name.endsWith(".runs") && textOf(join(spawners, name)).includes('"ended"')),
  );
  for (const pid of spawnersOf(spawners)) process.kill(pid, "SIGKILL");
  await until("the spawner is gone", () => spawnersOf(spawners).length === 0);
  const next = await openSupervisor({ clock: systemClock, log: silentLog }, { folder: spawners, version: "test", bootId: "another boot" });
  t.is(next.resume(runs), "reboot");
  t.deepEqual((await (next.resume(ended) as Running).ended).outcome, { type: "exit", code: 4 });
  await next.close({ stopExecutions: true });
  process.kill(-(pids[1] ?? 0), "SIGKILL");
});

test("an agent of another version lets the old spawner finish and starts its own", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("heartbeat")]);
  await running.started;
  await bench.supervisor.close({ stopExecutions: false });
  const [old = 0] = spawnersOf(bench.spawners);
  const next = await bench.next({ version: "newer" });
  t.is(spawnersOf(bench.spawners).length, 2);
  t.deepEqual((await next.start(bench.spec(["true"])).ended).outcome, { type: "exit", code: 0 });
  const again = next.resume(running.spec) as Running;
  again.kill("alice", "stop");
  t.is((await again.ended).outcome.type, "killed");
  next.noted(running.spec);
  await until("the old spawner is gone", () => !isAlive(old));
  await next.close({ stopExecutions: true });
});

test("a data folder with a long path works", async (t) => {
  await using bench = await supervisorBench();
  const folder = join(bench.folder, "x".repeat(120), "spawner");
  const supervisor = await openSupervisor({ clock: systemClock, log: silentLog }, { folder, version: "test", bootId: BOOT_ID });
  t.deepEqual((await supervisor.start(bench.spec(["true"])).ended).outcome, { type: "exit", code: 0 });
  await supervisor.close({ stopExecutions: true });
  await until("the spawner is gone", () => spawnersOf(folder).length === 0);
});

test("closing with its executions ends what runs and leaves no spawner", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("tree"), "2"]);
  const pid = await running.ready();
  await bench.supervisor.close({ stopExecutions: true });
  t.is((await running.ended).outcome.type, "killed");
  t.deepEqual(groupMembers(pid), []);
  await until("the spawner is gone", () => spawnersOf(bench.spawners).length === 0);
});

test("a spawner that is stopped does not hold up the next agent", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("heartbeat")]);
  const pid = (await running.started)?.pid ?? 0;
  await bench.supervisor.close({ stopExecutions: false });
  const [stopped = 0] = spawnersOf(bench.spawners);
  process.kill(stopped, "SIGSTOP");
  const next = await bench.next();
  const again = next.resume(running.spec) as Running;
  again.kill("alice", "stop");
  t.is((await again.ended).outcome.type, "killed");
  t.false(isAlive(pid));
  process.kill(stopped, "SIGKILL");
  await next.close({ stopExecutions: true });
});

test("a deadline goes over to the next spawner as it was moved last, and holds there", async (t) => {
  await using bench = await supervisorBench();
  const firstMs = systemClock.now() + 3000;
  const alone = bench.start([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 3000, killGraceMs: 60_000 });
  await until("it beats", () => alone.log() !== "");
  bench.supervisor.extendAll(systemClock.mono() + 60_000);
  process.kill(spawnersOf(bench.spawners)[0] ?? 0, "SIGKILL");
  t.deepEqual((await bench.start(["true"]).ended).outcome, { type: "exit", code: 0 });
  await until("it beats beyond its first deadline", () => Number(alone.log().trim().split("\n").at(-1)) / 1e6 > firstMs);
  bench.supervisor.extendAll(systemClock.mono());
  t.deepEqual((await alone.ended).outcome, { type: "lockLost" });
  t.deepEqual(groupMembers((await alone.started)?.pid ?? 0), []);
});

test("what agent and spawner left together keeps the deadline that it is taken over with, unless it is moved by name", async (t) => {
  await using bench = await supervisorBench();
  const specs = [60_000, 1000].map((killGraceMs) =>
    bench.spec([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 60_000, killGraceMs }),
  );
  const { agent, spawners, pids } = await client(bench, ...specs);
  for (const pid of [agent, ...spawnersOf(spawners)]) process.kill(pid, "SIGKILL");
  await until("both are gone", () => !isAlive(agent) && spawnersOf(spawners).length === 0);
  const next = await openSupervisor({ clock: systemClock, log: silentLog }, { folder: spawners, version: "test", bootId: BOOT_ID });
  const [left, carried] = specs.map((spec) => next.resume({ ...spec, deadlineMono: systemClock.mono() + 2000 }) as Running);
  carried?.extend(systemClock.mono() + 60_000);
  next.extendAll(systemClock.mono() + 60_000);
  t.deepEqual((await left?.ended)?.outcome, { type: "lockLost" });
  t.false(isAlive(pids[0] ?? 0));
  t.true(isAlive(pids[1] ?? 0));
  await next.close({ stopExecutions: true });
});
