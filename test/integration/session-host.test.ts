/** The session host with real calls over HTTP: it outlives the agent, keeps timeouts, kills and deadlines, and when it dies nothing is begun twice. */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { HttpSpec } from "fleetcron-shared/model/runners/http-spec";
import type { SessionStart, Supervisor } from "../../packages/agent/src/run/supervisor.ts";
import type { SessionSpec } from "../../packages/agent/src/runners/runner.ts";
import { detailOf, startAgentBench, words } from "../support/agent-bench.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive, textOf, until } from "../support/processes.ts";
import { sessionHostsOf, spawnersOf } from "../support/spawners.ts";
import { sshBench } from "../support/sshd.ts";
import { type SupervisorBench, supervisorBench } from "../support/supervisor.ts";
import { type HttpTarget, type Reply, startHttpTarget } from "../support/targets.ts";

type Asked =
  | Pick<Extract<SessionSpec, { runner: "http" }>, "runner" | "spec">
  | Pick<Extract<SessionSpec, { runner: "ssh" }>, "runner" | "spec">;

function sessionOf(bench: SupervisorBench, asked: Asked, more: Partial<SessionStart> = {}): SessionStart {
  const execution = `e-${randomUUID()}`;
  const context = {
    ...{ execution, attempt: 1, env: {}, secrets: {} },
    ...{ dataDir: bench.folder, networks: ["127.0.0.0/8"], policyFile: "policy.yaml" },
  };
  return {
    ...{ execution, attempt: 1, logPath: join(bench.folder, `${execution}.log`), timeoutMs: 0, killGraceMs: 1000 },
    ...more,
    session: { ...context, ...asked },
  };
}

const call = (bench: SupervisorBench, spec: HttpSpec, more: Partial<SessionStart> = {}) => sessionOf(bench, { runner: "http", spec }, more);

/** A server that answers each request when `answer` is called. */
async function heldTarget(): Promise<HttpTarget & { answer(): void }> {
  const held = Promise.withResolvers<Reply>();
  const target = await startHttpTarget(() => held.promise);
  return Object.assign(target, { answer: () => held.resolve({ status: 200, body: "done\n" }) });
}

async function restartSupervisor(bench: SupervisorBench, specs: readonly SessionStart[]) {
  await bench.supervisor.close({ stopExecutions: false });
  const next = await bench.next();
  return { next, running: specs.map((spec) => next.resume(spec)) };
}

const outcomeOf = async (running: ReturnType<Supervisor["resume"]>) =>
  running === undefined || running === "reboot" ? running : (await running.ended).outcome;

test("a call ends with its answer in the log; no process is started for the next one", async (t) => {
  await using bench = await supervisorBench();
  await using target = await startHttpTarget(() => ({ status: 200, body: "hello\n" }));
  const spec = call(bench, { url: target.url });
  const first = bench.supervisor.start(spec);
  t.true(((await first.started)?.startedAtMs ?? 0) > 0);
  t.deepEqual((await first.ended).outcome, { type: "exit", code: 0 });
  t.regex(textOf(spec.logPath), /200 OK[\s\S]*hello\n$/);
  const hosts = sessionHostsOf(bench.spawners);
  t.is(hosts.length, 1);
  t.deepEqual((await bench.supervisor.start(call(bench, { url: `${target.url}/2` })).ended).outcome, { type: "exit", code: 0 });
  t.deepEqual(sessionHostsOf(bench.spawners), hosts);
});

test("calls outlive the agent: the next one gets their ends, also of those that ended meanwhile", async (t) => {
  await using bench = await supervisorBench();
  await using held = await heldTarget();
  await using quick = await startHttpTarget(() => ({ status: 404 }));
  const specs = [call(bench, { url: held.url }), call(bench, { url: quick.url })];
  for (const spec of specs) bench.supervisor.start(spec);
  await until("both are called", () => held.received.length === 1 && quick.received.length === 1);
  const { next, running } = await restartSupervisor(bench, specs);
  t.like(await outcomeOf(running[1]), { type: "failed", code: "http/status" });
  held.answer();
  t.deepEqual(await outcomeOf(running[0]), { type: "exit", code: 0 });
  t.deepEqual([held.received.length, quick.received.length], [1, 1]);
  await next.close({ stopExecutions: true });
});

test("timeout, kill and a deadline that passes end a call that is never answered", async (t) => {
  await using bench = await supervisorBench();
  await using target = await startHttpTarget(() => "never");
  const start = (more: Partial<SessionStart>) => bench.supervisor.start(call(bench, { url: target.url }, more));
  // The runner is loaded with the first call.
  await using ready = await startHttpTarget(() => ({ status: 200 }));
  await bench.supervisor.start(call(bench, { url: ready.url })).ended;
  const timeout = start({ timeoutMs: 3000 });
  const killed = start({});
  const alone = start({ deadlineMono: systemClock.mono() + 5000 });
  await until("all are called", () => target.received.length === 3);
  killed.kill("ann", "no longer needed");
  t.deepEqual((await timeout.ended).outcome, { type: "timeout", afterMs: 3000 });
  t.deepEqual((await killed.ended).outcome, { type: "killed", by: "ann", reason: "no longer needed" });
  t.deepEqual((await alone.ended).outcome, { type: "lockLost" });
});

test("the session host is killed: what was under way is lost and not begun again, and the next one takes over", async (t) => {
  await using bench = await supervisorBench();
  await using target = await startHttpTarget(() => "never");
  await using other = await startHttpTarget(() => ({ status: 200 }));
  const lost = bench.supervisor.start(call(bench, { url: target.url }));
  await until("it is called", () => target.received.length === 1);
  for (const pid of sessionHostsOf(bench.spawners)) process.kill(pid, "SIGKILL");
  t.deepEqual((await lost.ended).outcome, { type: "lost", why: "session" });
  t.is(target.received.length, 1);
  t.deepEqual((await bench.supervisor.start(call(bench, { url: other.url })).ended).outcome, { type: "exit", code: 0 });
});

test("the session host is killed under an ssh session: the next one follows it to its true end, also when the agent went with it", async (t) => {
  await using bench = await supervisorBench();
  await using ssh = sshBench();
  const sshd = await ssh.start();
  const [begun, go] = [join(bench.folder, "begun"), join(bench.folder, "go")];
  const script = `echo begun | tee -a ${begun}; until [ -e ${go} ]; do sleep 0.05; done; echo over; exit 7`;
  const spec = { hosts: [sshd.target], script, auth: { key: ssh.key }, knownHosts: ssh.knownHosts };
  const start = sessionOf(bench, { runner: "ssh", spec });
  const killHosts = async () => {
    const pids = sessionHostsOf(bench.spawners);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await until("it is gone", () => !pids.some(isAlive));
  };
  bench.supervisor.start(start);
  await until("its output is here", () => textOf(start.logPath).includes("begun"));
  await killHosts();
  await until("another one is there", () => sessionHostsOf(bench.spawners).length === 1);
  const { next, running } = await restartSupervisor(bench, [start]);
  await killHosts();
  writeFileSync(go, "");
  t.deepEqual(await outcomeOf(running[0]), { type: "exit", code: 7 });
  t.is(textOf(begun), "begun\n");
  t.is(textOf(start.logPath), "begun\nover\n");
  await next.close({ stopExecutions: true });
});

test("agent and session host are killed, and the host was started again: the end is told all the same", async (t) => {
  await using bench = await supervisorBench();
  await using target = await startHttpTarget(() => "never");
  const spec = call(bench, { url: target.url });
  bench.supervisor.start(spec);
  await until("it is called", () => target.received.length === 1);
  await bench.supervisor.close({ stopExecutions: false });
  const pids = sessionHostsOf(bench.spawners);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("it is gone", () => !pids.some(isAlive));
  const next = await bench.next({ bootId: "another boot" });
  t.deepEqual(await outcomeOf(next.resume(spec)), { type: "lost", why: "session" });
  await next.close({ stopExecutions: true });
});

test("an agent: policy, retry after the time that the server asks for, records without a process, and an upgrade in the middle of a call", async (t) => {
  await using bench = await startAgentBench();
  const policy = `${bench.folder}/policy.yaml`;
  writeFileSync(policy, "networks: [127.0.0.0/8]\n", { mode: 0o600 });
  await bench.add("p1", { args: ["--policy-file", policy] });
  const busy = { status: 503, headers: { "retry-after": "2" } };
  await using target = await startHttpTarget((_, count) => (count === 0 ? busy : { status: 200, body: "fine" }));
  await using held = await heldTarget();
  const job = (url: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
    run: { http: { url } },
    rules: [{ mode: "manyonce" }],
    ...more,
  });

  await bench.run("n1", "t/refused", job(target.url));
  const [refused] = await eventually("it is refused", async () => some(await bench.records("t/refused")));
  t.is(words(refused!), "1 failed:http/address");

  await bench.run("p1", "t/busy", job(target.url, { retry: { limit: 1, delay: "10ms" } }));
  const tries = await eventually("it is tried again", async () => some(await bench.records("t/busy"), 2));
  t.deepEqual(tries.map(words), ["1… failed:http/status", "2 exit:0"]);
  t.true((target.received[1]?.atMs ?? 0) - (target.received[0]?.atMs ?? 0) >= 2000);
  t.like(tries[1], { command: `GET ${target.url}`, success: true });
  t.false("pid" in tries[1]!);

  await bench.run("p1", "t/held", job(held.url));
  await eventually("it is called", async () => held.received.length === 1);
  await bench.agent("p1").kill();
  await bench.agent("p1").restart();
  await eventually("it is shown", async () => (await bench.procs("p1")).some(({ pid }) => pid === 0));
  held.answer();
  const [whole] = await eventually("it has its record", async () => some(await bench.records("t/held")));
  t.is(words(whole!), "1 exit:0");
  t.is(held.received.length, 1);
  t.is(detailOf(whole!), "");
  t.is(spawnersOf(join(bench.folder, "data-p1", "spawner")).length, 1);
});

function some<T>(list: readonly T[], count = 1): readonly T[] | undefined {
  return list.length < count ? undefined : list;
}
