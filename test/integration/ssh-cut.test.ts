/** What survives: cut networks, killed servers, silent ones, and the agent's own death in the middle of a session. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { SshSessionSpec } from "../../packages/agent/src/runners/ssh/ssh-runner.ts";
import type { SessionProcess } from "../fixtures/ssh-session-process.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { isAlive, textOf, until } from "../support/processes.ts";
import { drive, openRunner, runSsh, sshSpec } from "../support/ssh-session.ts";
import { freePort, type SshBench, type Sshd, sshBench } from "../support/sshd.ts";

/** A server that is reached by way of a proxy, under a name of its own in known_hosts. */
async function proxied(bench: SshBench, sshd: Sshd): Promise<FaultProxy & { target: string }> {
  const proxy = await startFaultProxy(sshd.port);
  bench.trust({ address: "127.0.0.1", port: proxy.port, publicKeys: sshd.publicKeys });
  return Object.assign(proxy, { target: `${bench.user}@127.0.0.1:${proxy.port}` });
}

/** Prints numbers until the file is there, then `done`. */
function counting(file: string): string {
  return `echo $$; i=0; while [ ! -e ${file} ]; do i=$((i+1)); echo $i; sleep 0.02; done; echo done`;
}

function isWhole(log: string): boolean {
  const lines = log.trim().split("\n").slice(1);
  return lines.at(-1) === "done" && lines.slice(0, -1).every((line, index) => line === String(index + 1));
}

test("a cut connection: the command goes on, and its output without a gap", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  await using proxy = await proxied(bench, sshd);
  const go = join(bench.folder, "go");
  const ran = drive(runner, sshSpec(bench, { hosts: [proxy.target], script: counting(go) }));
  for (const at of ["5", "40", "80"]) {
    await until(`line ${at}`, () => ran.log().includes(`\n${at}\n`));
    proxy.drop();
  }
  await until("it goes on", () => ran.log().includes("\n120\n"));
  proxy.cut();
  writeFileSync(go, "");
  await until("the command has ended", () => !isAlive(ran.pid() ?? -1));
  proxy.open();
  t.deepEqual((await ran.done).outcome, { type: "exit", code: 0 });
  t.true(isWhole(ran.log()), ran.log());
  t.deepEqual(ran.warnings, []);
});

test("a network that swallows everything is noticed within idleTimeout, and gone around when it is back", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  await using proxy = await proxied(bench, sshd);
  const go = join(bench.folder, "go");
  const ran = drive(runner, sshSpec(bench, { hosts: [proxy.target], script: counting(go), idleTimeout: "1s" }));
  await until("output", () => ran.log().includes("\n10\n"));
  proxy.blackhole();
  const since = systemClock.mono();
  const before = proxy.connections;
  await until("it connects anew", () => proxy.connections > before || proxy.connections === 0);
  t.true(systemClock.mono() - since < 15_000, "long before the default of 45 s");
  writeFileSync(go, "");
  proxy.drop();
  proxy.open();
  t.deepEqual((await ran.done).outcome, { type: "exit", code: 0 });
  t.true(isWhole(ran.log()), ran.log());
});

test("a server killed in the middle and started again: the session is found again", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  const go = join(bench.folder, "go");
  const ran = drive(runner, sshSpec(bench, { hosts: [sshd.target], script: counting(go) }));
  await until("output", () => ran.log().includes("\n10\n"));
  sshd.kill();
  writeFileSync(go, "");
  await bench.start({ port: sshd.port, keysOf: sshd });
  t.deepEqual((await ran.done).outcome, { type: "exit", code: 0 });
  t.true(isWhole(ran.log()), ran.log());
});

test("a server that does not come back: lost, and said that the command may go on", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench, { reconnectMs: 1000 });
  const sshd = await bench.start();
  const ran = drive(runner, sshSpec(bench, { hosts: [sshd.target], script: "echo $$; sleep 60" }, { timeoutMs: 1500, killGraceMs: 1000 }));
  await until("output", () => ran.log() !== "");
  sshd.kill();
  t.deepEqual((await ran.done).outcome, { type: "lost", why: "session" });
  t.regex(ran.warnings.join(), /may still run there/);
  await until("the host has ended it at its deadline", () => !isAlive(Number(ran.log())));
});

test("the timeout ends the remote tree although nobody is connected", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  await using proxy = await proxied(bench, sshd);
  const script =
    "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & (setsid sleep 1000 & echo $!); echo $$; while :; do sleep 1; done";
  const ran = drive(runner, sshSpec(bench, { hosts: [proxy.target], script }, { timeoutMs: 1000, killGraceMs: 1000 }));
  const pids = await until("all pids are told", () => {
    const found = ran.log().trim().split("\n").map(Number);
    return found.length === 3 && found;
  });
  proxy.cut();
  await until("nothing of the tree is left", () => !pids.some(isAlive));
  proxy.open();
  t.deepEqual((await ran.done).outcome, { type: "timeout", afterMs: 1000 });
});

test("a host out of reach is an outcome of its own, for each reason", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const nobody = await freePort();
  const sshd = await bench.start();
  await using silent = await proxied(bench, sshd);
  silent.blackhole();
  const error = async (host: string) => {
    const ran = await runSsh(bench, runner, { hosts: [host], script: "true", connectTimeout: "300ms" });
    t.deepEqual(ran.traces, []);
    return ran.end.outcome.type === "unreachable" ? ran.end.outcome.error : JSON.stringify(ran.end.outcome);
  };
  t.regex(await error(`127.0.0.1:${nobody}`), /refused/);
  t.regex(await error("host.invalid"), /no address|does not answer/);
  t.regex(await error(silent.target), /no SSH server greeted within 0.3 s/);
  silent.cut();
  t.regex(await error(silent.target), /cut off before it greeted|refused/);
});

test("a slow greeting is waited for", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  await using slow = await proxied(bench, sshd);
  slow.pause("toClient");
  const ran = drive(runner, sshSpec(bench, { hosts: [slow.target], script: "echo here" }));
  await until("it is connected", () => slow.connections === 1);
  await systemClock.sleep(300);
  slow.open();
  t.deepEqual((await ran.done).outcome, { type: "exit", code: 0 });
  t.is(ran.log(), "here\n");
});

test("the runner's process is killed in the middle: the next one goes on without a gap, and nothing runs twice", async (t) => {
  await using bench = sshBench();
  const sshd = await bench.start();
  const go = join(bench.folder, "go");
  const runs = join(bench.folder, "runs");
  const spec = sshSpec(bench, { hosts: [sshd.target], script: `echo x >> ${runs}; ${counting(go)}` });
  const { log, trace, killed } = await killedInTheMiddle(bench, spec, (text) => text.includes("\n10\n"));
  await killed;
  await using runner = openRunner(bench);
  const next = drive(runner, { ...spec, written: Buffer.byteLength(log()) }, {}, { trace: trace() });
  await until("it goes on", () => next.log().includes("\n"));
  writeFileSync(go, "");
  t.deepEqual((await next.done).outcome, { type: "exit", code: 0 });
  t.true(isWhole(log() + next.log()), log() + next.log());
  t.is(textOf(runs), "x\n");
});

test("the runner's process is killed with many hosts: what has ended is known, what runs is found, what was not begun is begun", async (t) => {
  await using bench = sshBench();
  const servers = [await bench.start(), await bench.start(), await bench.start()];
  const [one, two, three] = servers.map(({ target }) => target) as [string, string, string];
  const go = join(bench.folder, "go");
  const runs = join(bench.folder, "runs");
  const script = `echo x >> ${runs}; case $SSH_CONNECTION in *" ${servers[0]?.port}") exit 5;; esac; while [ ! -e ${go} ]; do sleep 0.05; done`;
  const spec = sshSpec(bench, { hosts: [one, two, three], script, maxParallel: 1 });
  const { trace, killed } = await killedInTheMiddle(bench, spec, () => textOf(runs) === "x\nx\n");
  await killed;
  await using runner = openRunner(bench);
  const next = drive(runner, spec, {}, { trace: trace() });
  writeFileSync(go, "");
  const end = await next.done;
  t.deepEqual(
    end.hosts?.map(({ outcome }) => outcome),
    [5, 0, 0].map((code) => ({ type: "exit", code })),
  );
  t.is(textOf(runs), "x\nx\nx\n");
});

test("what nobody can find again is lost, and cannot begin any more", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  const runs = join(bench.folder, "runs");
  const spec = sshSpec(bench, { hosts: [sshd.target], script: `echo x >> ${runs}` });
  t.deepEqual((await drive(runner, spec, {}, { trace: undefined }).done).outcome, { type: "lost", why: "session" });
  const late = await drive(runner, spec).done;
  t.is(late.outcome.type, "failed");
  t.is(textOf(runs), "");
});

test("KILL settles within 5 s, though the host cannot be told; TERM before the login ends it at once", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  await using proxy = await proxied(bench, sshd);
  const ran = drive(
    runner,
    sshSpec(bench, { hosts: [proxy.target], script: "echo $$; exec sleep 1000" }, { timeoutMs: 1000, killGraceMs: 1 }),
  );
  await until("output", () => ran.log() !== "");
  proxy.blackhole();
  const since = systemClock.mono();
  ran.session.kill("TERM");
  ran.session.kill("KILL");
  // One that would use the dead connection, and one that makes its own.
  const early = [undefined, "20s"].map((connectTimeout) =>
    drive(runner, sshSpec(bench, { hosts: [proxy.target], script: "true", ...(connectTimeout === undefined ? {} : { connectTimeout }) })),
  );
  await until("they connect", () => proxy.connections > 1);
  for (const each of early) {
    each.session.kill("TERM");
    t.deepEqual((await each.done).outcome, { type: "signal", name: "SIGTERM" });
    t.deepEqual(each.traces, []);
  }
  t.deepEqual((await ran.done).outcome, { type: "lost", why: "session" });
  t.true(systemClock.mono() - since < 5000);
  await until("its deadline has ended it", () => !isAlive(Number(ran.log())));
});

/** Starts a session in a process of its own and kills that when the log, or the world, is as wanted. */
async function killedInTheMiddle(bench: SshBench, spec: SshSessionSpec, isTime: (log: string) => boolean) {
  const log = join(bench.folder, "log");
  const trace = join(bench.folder, "trace");
  const argument: SessionProcess = { spec, environment: bench.environment, bases: [bench.folder], log, trace };
  const child = spawn(process.execPath, [join(import.meta.dirname, "../fixtures/ssh-session-process.ts"), JSON.stringify(argument)], {
    stdio: "inherit",
  });
  const killed = new Promise((resolve) => child.once("exit", resolve));
  await until("it is time", () => isTime(textOf(log)));
  child.kill("SIGKILL");
  return { log: () => textOf(log), trace: () => textOf(trace), killed };
}
