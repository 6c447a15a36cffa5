import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { StartSpec } from "../../packages/agent/src/run/supervisor.ts";
import { childrenOf, groupMembers, isAlive, processState, textOf, until } from "../support/processes.ts";
import { fixture, type SupervisorBench, supervisorBench } from "../support/supervisor.ts";

/** A process that stands for an agent and runs one execution; its helper's pid and the execution's. */
async function client(spec: StartSpec): Promise<{ agent: number; helper: number; pid: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../fixtures/supervisor-client.ts"), JSON.stringify([spec])], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const agent = child.pid ?? 0;
  const [helper = 0] = childrenOf(agent);
  return { agent, helper, pid: Number(line.split(" ")[1]) };
}

async function helperOf(bench: SupervisorBench): Promise<number> {
  const running = bench.start(["sh", "-c", "echo pid $PPID"]);
  await running.ended;
  return running.pids()[0] ?? 0;
}

test("an agent killed with SIGKILL takes every tree with it", async (t) => {
  await using bench = await supervisorBench({ helpers: 1 });
  const spec = bench.spec([fixture("tree"), "3"], { killGraceMs: 60_000 });
  const { agent, helper, pid } = await client(spec);
  await until("the tree is complete", () => textOf(spec.logPath).includes("ready"));
  t.is(groupMembers(pid).length, 3);
  process.kill(agent, "SIGKILL");
  await until("the tree is gone", () => groupMembers(pid).length === 0);
  await until("the helper is gone", () => !isAlive(helper));
  t.pass();
});

test("a process that ignores TERM does not outlive its agent", async (t) => {
  await using bench = await supervisorBench({ helpers: 1 });
  const spec = bench.spec([fixture("ignore-term")], { killGraceMs: 200 });
  const { agent, helper, pid } = await client(spec);
  await until("it is ready", () => textOf(spec.logPath).includes("ready"));
  process.kill(agent, "SIGKILL");
  await until("the group and the helper are gone", () => groupMembers(pid).length === 0 && !isAlive(helper));
  t.pass();
});

test("a deadline holds while the agent is stopped", async (t) => {
  await using bench = await supervisorBench({ helpers: 1 });
  const spec = bench.spec([fixture("heartbeat")], { deadlineMono: systemClock.mono() + 3000, killGraceMs: 60_000 });
  const deadlineAt = systemClock.now() + 3000;
  const { agent, pid } = await client(spec);
  process.kill(agent, "SIGSTOP");
  await until("the agent is stopped", () => processState(agent) === "T");
  t.true(isAlive(pid));
  await until("the execution is gone", () => groupMembers(pid).length === 0);
  t.is(processState(agent), "T");
  t.true(Number(textOf(spec.logPath).trim().split("\n").at(-1)) / 1e6 < deadlineAt);
  process.kill(agent, "SIGKILL");
});

test("signals to the agent's session or the helper do not end executions", async (t) => {
  await using bench = await supervisorBench({ helpers: 1 });
  const running = bench.start([fixture("ignore-term")]);
  const pid = await running.ready();
  const helper = await helperOf(bench);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(helper, signal);
  t.deepEqual((await bench.start(["true"]).ended).outcome, { type: "exit", code: 0 });
  t.true(isAlive(pid));
});

test("when a helper dies, its handles end, its trees are gone, and new starts work", async (t) => {
  await using bench = await supervisorBench({ helpers: 1 });
  const tree = bench.start([fixture("tree"), "3"]);
  const deaf = bench.start([fixture("ignore-term")]);
  const pids = [await tree.ready(), await deaf.ready()];
  process.kill(await helperOf(bench), "SIGKILL");
  const ends = await Promise.all([tree.ended, deaf.ended]);
  t.deepEqual(
    ends.map((end) => end.outcome),
    [
      { type: "lost", why: "agentStopped" },
      { type: "lost", why: "agentStopped" },
    ],
  );
  t.deepEqual(pids.flatMap(groupMembers), []);
  t.is(bench.supervisor.running, 0);
  t.deepEqual((await bench.start(["sh", "-c", "exit 3"]).ended).outcome, { type: "exit", code: 3 });
});

test("closing ends what runs and leaves no helper", async (t) => {
  const bench = await supervisorBench();
  const helper = await helperOf(bench);
  const running = bench.start([fixture("tree"), "2"]);
  const pid = await running.ready();
  await bench[Symbol.asyncDispose]();
  t.is((await running.ended).outcome.type, "killed");
  t.deepEqual(groupMembers(pid), []);
  t.false(isAlive(helper));
});
