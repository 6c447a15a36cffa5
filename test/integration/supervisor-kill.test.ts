import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { groupMembers, isAlive, processState, until } from "../support/processes.ts";
import { fixture, supervisorBench } from "../support/supervisor.ts";

test("kill ends the whole group, and says who asked", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("tree"), "3"]);
  const pid = await running.ready();
  t.is(running.pids().length, 3);
  running.kill("alice", "wrong host");
  running.kill("bob", "too late to be the cause");
  const { outcome } = await running.ended;
  t.deepEqual(outcome, { type: "killed", by: "alice", reason: "wrong host" });
  t.deepEqual(groupMembers(pid), []);
  t.deepEqual(running.pids().filter(isAlive), []);
});

test("the first cause is the outcome, also when the process then exits with 0", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("exit-zero-on-term")]);
  await running.ready();
  running.kill("alice", "stop");
  t.is((await running.ended).outcome.type, "killed");
  t.true(running.log().endsWith("bye\n"));
});

test("a process that ignores TERM gets its grace, then KILL", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("ignore-term")], { killGraceMs: 300 });
  const pid = await running.ready();
  const asked = systemClock.now();
  running.kill("alice", "stop");
  const end = await running.ended;
  t.is(end.outcome.type, "killed");
  t.true(end.endedAtMs - asked >= 295);
  t.deepEqual(groupMembers(pid), []);
});

test("a timeout ends a process that ignores TERM", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("ignore-term")], { timeoutMs: 400, killGraceMs: 100 });
  const end = await running.ended;
  t.deepEqual(end.outcome, { type: "timeout", afterMs: 400 });
  t.true(end.durationMs >= 500);
  t.deepEqual(groupMembers((await running.started)?.pid ?? 0), []);
});

test("a kill during the grace of a timeout changes nothing", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("exit-zero-on-term")], { timeoutMs: 300 });
  await until("TERM has arrived", () => running.log().includes("bye"));
  running.kill("alice", "late");
  t.is((await running.ended).outcome.type, "timeout");
});

test("a stopped process is ended too", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("stopper")], { killGraceMs: 60_000 });
  const pid = (await running.started)?.pid ?? 0;
  await until("the process has stopped itself", () => processState(pid) === "T");
  running.kill("alice", "stop");
  t.is((await running.ended).outcome.type, "killed");
  t.is(running.log(), "bye\n");
});

test("children that ignore TERM do not outlive a killed leader", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("leaves-deaf-child-on-term")], { killGraceMs: 300 });
  await running.ready();
  running.kill("alice", "stop");
  t.is((await running.ended).outcome.type, "killed");
  t.deepEqual(running.pids().filter(isAlive), []);
});

test("kill after the end does nothing", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start(["true"]);
  await running.ended;
  running.kill("alice", "late");
  running.extend(systemClock.mono());
  t.deepEqual((await running.ended).outcome, { type: "exit", code: 0 });
});

test("what is killed before its turn is never started", async (t) => {
  await using bench = await supervisorBench();
  const mark = join(bench.folder, "mark");
  const burst = Array.from({ length: 100 }, () => bench.start(["true"]));
  const last = bench.start(["touch", mark]);
  last.kill("alice", "changed my mind");
  const end = await last.ended;
  t.deepEqual(end.outcome, { type: "killed", by: "alice", reason: "changed my mind" });
  await Promise.all(burst.map((running) => running.ended));
  t.is((await last.started) === undefined, !existsSync(mark));
});

test("a deadline already past: nothing is started", async (t) => {
  await using bench = await supervisorBench();
  const mark = join(bench.folder, "mark");
  const running = bench.start(["touch", mark], { deadlineMono: systemClock.mono() - 1 });
  t.is(await running.started, undefined);
  t.deepEqual((await running.ended).outcome, { type: "lockLost" });
  t.false(existsSync(mark));
});

test("the tree is gone when the deadline passes, whatever its grace", async (t) => {
  await using bench = await supervisorBench();
  const deadlineAt = systemClock.now() + 1500;
  const running = bench.start([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 1500, killGraceMs: 60_000 });
  const end = await running.ended;
  t.deepEqual(end.outcome, { type: "lockLost" });
  t.true(lastBeatMs(running.log()) < deadlineAt);
  t.deepEqual(groupMembers((await running.started)?.pid ?? 0), []);
});

test("a long grace after a kill does not reach over the deadline", async (t) => {
  await using bench = await supervisorBench();
  const deadlineAt = systemClock.now() + 1500;
  const running = bench.start([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 1500, killGraceMs: 60_000 });
  await until("a heartbeat", () => running.log() !== "");
  running.kill("alice", "stop");
  t.is((await running.ended).outcome.type, "killed");
  t.true(lastBeatMs(running.log()) < deadlineAt);
});

test("extending moves deadlines; executions without one are left alone", async (t) => {
  await using bench = await supervisorBench();
  const alone = bench.start([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 1000 });
  const common = bench.start([fixture("heartbeat")]);
  const second = bench.start([fixture("exit-zero-on-term")], { deadlineMono: systemClock.mono() + 60_000 });
  await second.ready();
  const first = systemClock.now() + 1000;
  bench.supervisor.extendAll(systemClock.mono() + 60_000);
  await until("it beats beyond its first deadline", () => lastBeatMs(alone.log()) > first);
  bench.supervisor.extendAll(systemClock.mono());
  t.is((await alone.ended).outcome.type, "lockLost");
  t.is((await second.ended).outcome.type, "lockLost");
  t.true(isAlive((await common.started)?.pid ?? 0));
});

function lastBeatMs(log: string): number {
  return Number(log.trim().split("\n").at(-1)) / 1e6;
}
