import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "ava";
import { signalGroup, startTicksOf } from "../../packages/agent/src/run/spawner/process-group.ts";
import { isAlive, processState } from "../support/processes.ts";

test("a pid that was given to another process is not signalled", async (t) => {
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  const pid = child.pid ?? 0;
  const ticks = startTicksOf(pid) ?? 0;
  t.true(ticks > 0);
  t.false(signalGroup(pid, ticks - 1, "SIGKILL"));
  t.false(signalGroup(pid, undefined, "SIGKILL"));
  t.true(isAlive(pid));
  t.true(signalGroup(pid, ticks, "SIGKILL"));
  await once(child, "exit");
  t.is(processState(pid), undefined);
  t.false(signalGroup(pid, ticks, 0));
});

test("a group whose leader is gone is still found", async (t) => {
  const leader = spawn("sh", ["-c", "sleep 1000 & echo $!"], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  const pid = leader.pid ?? 0;
  const ticks = startTicksOf(pid);
  const [line] = (await once(leader.stdout.setEncoding("utf8"), "data")) as [string];
  if (leader.exitCode === null) await once(leader, "exit");
  t.true(isAlive(Number(line)));
  t.true(signalGroup(pid, ticks, "SIGKILL"));
});

test("a name with spaces and brackets does not confuse the start time", async (t) => {
  const child = spawn("perl", ["-e", '$0 = "a) R 1 2 3 ("; $| = 1; print "set\\n"; sleep 1000'], { stdio: ["ignore", "pipe", "ignore"] });
  const before = startTicksOf(child.pid ?? 0);
  await once(child.stdout, "data");
  t.is(startTicksOf(child.pid ?? 0), before);
  child.kill("SIGKILL");
});
