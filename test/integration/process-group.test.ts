import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { ProcessTable, startTicksOf } from "../../packages/agent/src/spawner/processes.ts";
import { isAlive } from "../support/processes.ts";

const membersOf = (pid: number, startTicks: number) =>
  new ProcessTable(systemClock, process.pid).membersOf({ id: `${randomUUID()}-1`, pid, startTicks }).map((entry) => entry.pid);

test("a pid that was given to another process has no members", async (t) => {
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  const pid = child.pid ?? 0;
  const ticks = startTicksOf(pid) ?? 0;
  t.true(ticks > 0);
  t.deepEqual(membersOf(pid, ticks - 1), []);
  t.deepEqual(membersOf(pid, ticks), [pid]);
  child.kill("SIGKILL");
  await once(child, "exit");
  t.deepEqual(membersOf(pid, ticks), []);
});

test("a session whose leader is gone is still found", async (t) => {
  const leader = spawn("sh", ["-c", "sleep 1000 & echo $!"], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  const pid = leader.pid ?? 0;
  const ticks = startTicksOf(pid) ?? 0;
  const [line] = (await once(leader.stdout.setEncoding("utf8"), "data")) as [string];
  if (leader.exitCode === null) await once(leader, "exit");
  t.true(isAlive(Number(line)));
  t.deepEqual(membersOf(pid, ticks), [Number(line)]);
  process.kill(Number(line), "SIGKILL");
});

test("a name with spaces and brackets does not confuse the start time", async (t) => {
  const child = spawn("perl", ["-e", '$0 = "a) R 1 2 3 ("; $| = 1; print "set\\n"; sleep 1000'], { stdio: ["ignore", "pipe", "ignore"] });
  const before = startTicksOf(child.pid ?? 0);
  await once(child.stdout, "data");
  t.is(startTicksOf(child.pid ?? 0), before);
  child.kill("SIGKILL");
});
