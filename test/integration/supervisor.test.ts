import { existsSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { isAlive, until } from "../support/processes.ts";
import { fixture, supervisorBench } from "../support/supervisor.ts";

test("exit codes and signals are reported as they were", async (t) => {
  await using bench = await supervisorBench();
  for (const code of [0, 1, 7, 255]) {
    const end = await bench.start(["sh", "-c", `exit ${code}`]).ended;
    t.deepEqual(end.outcome, { type: "exit", code });
  }
  for (const name of ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGHUP"]) {
    const end = await bench.start(["sh", "-c", `kill -${name.slice(3)} $$`]).ended;
    t.like(end.outcome, { type: "signal", name });
  }
});

test("the handle tells pid, begin and end", async (t) => {
  await using bench = await supervisorBench();
  const before = systemClock.now();
  const running = bench.start(["sh", "-c", "date +%s%N; echo pid $$"]);
  t.is(bench.supervisor.running, 1);
  const started = await running.started;
  const end = await running.ended;
  t.is(bench.supervisor.running, 0);
  t.deepEqual([started?.pid], running.pids());
  const own = Number(running.log().split("\n")[0]) / 1e6;
  t.true(before <= (started?.startedAtMs ?? 0) && (started?.startedAtMs ?? 0) <= own && own <= end.endedAtMs + 1);
  t.true(end.durationMs >= 0 && end.durationMs <= end.endedAtMs - before + 1);
});

test("the environment is exactly what was given", async (t) => {
  await using bench = await supervisorBench();
  const env = { PATH: "/usr/bin", ODD: "a b\n\"'$X=ü" };
  const running = bench.start(["env", "-0"], { env });
  await running.ended;
  t.deepEqual(new Set(running.log().split("\0").filter(Boolean)), new Set(["PATH=/usr/bin", "ODD=a b\n\"'$X=ü"]));
  const empty = bench.start(["/usr/bin/env"], { env: {} });
  await empty.ended;
  t.is(empty.log(), "");
});

test("a process has three file descriptors, its own session, and default signals", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start(["sleep", "1000"]);
  const pid = (await running.started)?.pid ?? 0;
  const fds = await until("exec", () => {
    const names = readdirSync(`/proc/${pid}/fd`);
    return readlinkSync(`/proc/${pid}/exe`).endsWith("sleep") && names;
  });
  t.deepEqual(fds, ["0", "1", "2"]);
  t.is(readlinkSync(`/proc/${pid}/fd/0`), "/dev/null");
  t.is(readlinkSync(`/proc/${pid}/fd/1`), join(bench.folder, "log-1"));
  running.kill("test", "over");
  const signals = bench.start([
    "sh",
    "-c",
    "grep -E 'SigIgn|SigBlk' /proc/self/status; ps -o pid=,pgid=,sid= -p $$ 2>/dev/null || cut -d' ' -f1,5,6 /proc/$$/stat",
  ]);
  await signals.ended;
  // 32 and 33 are the C library's own: its posix_spawn lets them be ignored.
  t.regex(signals.log(), /SigBlk:\s0+\nSigIgn:\s00000001?[08]0000000\n/);
  t.is(new Set(signals.log().trim().split("\n").at(-1)?.trim().split(/\s+/)).size, 1);
});

test("stdout and stderr are appended to the log, 10 MB of it", async (t) => {
  await using bench = await supervisorBench();
  const logPath = join(bench.folder, "big");
  writeFileSync(logPath, "old\n");
  const end = await bench.start(["sh", "-c", "echo err >&2; head -c 10485760 /dev/zero | tr '\\0' x; echo; echo end >&2"], { logPath })
    .ended;
  t.deepEqual(end.outcome, { type: "exit", code: 0 });
  t.is(statSync(logPath).size, "old\nerr\n".length + 10_485_760 + "\nend\n".length);
});

test("standard input comes from the file, or is empty", async (t) => {
  await using bench = await supervisorBench();
  const stdinPath = join(bench.folder, "stdin");
  writeFileSync(stdinPath, "hello\nworld");
  const cat = bench.start(["cat"], { stdinPath });
  await cat.ended;
  t.is(cat.log(), "hello\nworld");
  const none = bench.start(["cat"]);
  t.deepEqual((await none.ended).outcome, { type: "exit", code: 0 });
  t.is(none.log(), "");
});

test("the working directory and the umask are the process's own", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start(["sh", "-c", "pwd; umask; touch made"], { cwd: bench.folder, umask: 0o027 });
  await running.ended;
  t.is(running.log(), `${bench.folder}\n0027\n`);
  t.is(statSync(join(bench.folder, "made")).mode & 0o777, 0o640);
  const plain = bench.start(["sh", "-c", "umask"]);
  await plain.ended;
  t.is(plain.log(), "0022\n");
});

test("a failed start says what is wrong and harms nobody", async (t) => {
  await using bench = await supervisorBench();
  const script = join(bench.folder, "script");
  writeFileSync(script, "#!/no/such/interpreter\n", { mode: 0o755 });
  writeFileSync(join(bench.folder, "plain"), "text", { mode: 0o644 });
  const cases: [string[], object, RegExp][] = [
    [["/no/such/program"], {}, /\/no\/such\/program does not exist/],
    [["no-such-program"], {}, /no-such-program is not in PATH, \/usr\/bin:\/bin/],
    [[join(bench.folder, "plain")], {}, /plain is not executable/],
    [[bench.folder], {}, /is not executable/],
    [[script], {}, /interpreter of .*script, "\/no\/such\/interpreter"/],
    [["true"], { cwd: "/no/such/folder" }, /working directory \/no\/such\/folder cannot be entered: it does not exist/],
    [["true"], { cwd: script }, /working directory .*script is not a directory/],
    [["true"], { logPath: "/no/such/folder/log" }, /log file \/no\/such\/folder\/log cannot be opened/],
    [["true"], { stdinPath: "/no/such/input" }, /input file \/no\/such\/input cannot be opened/],
    [["true", "x".repeat(200_000)], {}, /too long: .* \(E2BIG\)/],
    [["true", "a\0b"], {}, /true cannot be started/],
    [[], {}, /no program to start/],
    [["no-such-program"], { nice: 5 }, /not in PATH/],
  ];
  for (const [argv, more, words] of cases) {
    const running = bench.start(argv, more);
    t.is(await running.started, undefined);
    const { outcome } = await running.ended;
    if (outcome.type === "spawnFailed") t.regex(outcome.error, words);
    else t.fail(JSON.stringify({ argv, outcome }));
  }
  t.deepEqual((await bench.start(["true"]).ended).outcome, { type: "exit", code: 0 });
});

test("the end does not wait for a background child that keeps the output open", async (t) => {
  await using bench = await supervisorBench();
  const running = bench.start([fixture("leaves-child")]);
  t.deepEqual((await running.ended).outcome, { type: "exit", code: 7 });
  const [child = 0] = running.pids();
  t.true(isAlive(child), "left alone, as cron does");
  process.kill(child, "SIGKILL");
});

test("300 at once, each with its own end", async (t) => {
  await using bench = await supervisorBench();
  const all = Array.from({ length: 300 }, (_, i) => bench.start(["sh", "-c", `echo ${i}; exit ${i % 200}`]));
  const ends = await Promise.all(all.map((running) => running.ended));
  t.deepEqual(
    ends.map((end) => end.outcome),
    all.map((_, i) => ({ type: "exit", code: i % 200 })),
  );
  t.deepEqual(
    all.map((running) => running.log()),
    all.map((_, i) => `${i}\n`),
  );
  const started = await Promise.all(all.map((running) => running.started));
  t.is(new Set(started.map((one) => one?.pid)).size, 300);
});

test("close leaves what runs alone, and starts nothing more", async (t) => {
  const bench = await supervisorBench();
  const running = bench.start([fixture("heartbeat")]);
  const pid = (await running.started)?.pid ?? 0;
  await bench.supervisor.close({ stopExecutions: false });
  bench.supervisor.start(bench.spec(["touch", join(bench.folder, "late")]));
  const next = await bench.next();
  const again = next.resume(running.spec);
  t.true(isAlive(pid));
  if (typeof again !== "object") return t.fail(String(again));
  again.kill("test", "over");
  t.is((await again.ended).outcome.type, "killed");
  t.false(existsSync(join(bench.folder, "late")));
  await next.close({ stopExecutions: true });
  await bench[Symbol.asyncDispose]();
});
