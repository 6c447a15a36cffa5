/** The ssh runner against a real OpenSSH server: what reaches the command, and what comes back. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { isAlive, until } from "../support/processes.ts";
import { drive, openRunner, runSsh, sshSpec } from "../support/ssh-session.ts";
import { sshBench } from "../support/sshd.ts";

test("exit codes and signals are told as they are", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const outcome = async (script: string) => (await runSsh(bench, runner, { hosts: [target], script })).end.outcome;
  t.deepEqual(await outcome("true"), { type: "exit", code: 0 });
  t.deepEqual(await outcome("exit 3"), { type: "exit", code: 3 });
  t.deepEqual(await outcome("exit 143"), { type: "exit", code: 143 });
  t.deepEqual(await outcome("exit 255"), { type: "exit", code: 255 });
  t.deepEqual(await outcome("kill -TERM $$"), { type: "signal", name: "SIGTERM" });
  t.deepEqual(await outcome("kill -KILL $$"), { type: "signal", name: "SIGKILL" });
  t.deepEqual(await outcome("kill -USR2 $$"), { type: "signal", name: "SIGUSR2" });
  t.deepEqual((await runSsh(bench, runner, { hosts: [target], argv: ["/no/such/program"] })).end.outcome, { type: "exit", code: 127 });
  const lost = await runSsh(bench, runner, { hosts: [target], script: "true", cwd: "/no/such/folder" });
  t.is(lost.end.outcome.type, "spawnFailed");
});

test("arguments, variables and input reach the program as data", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const nasty = `'; touch ${bench.folder}/owned; echo $(id) \`id\` "\\ \n\t!* ~ ü €`;
  const argv = await runSsh(bench, runner, { hosts: [target], argv: ["printf", "%s|", nasty, "", "-oProxyCommand=x"] });
  t.is(argv.log(), `${nasty}||-oProxyCommand=x|`);
  const env = await runSsh(
    bench,
    runner,
    { hosts: [target], argv: ["printenv", "PARAM"] },
    { env: { PARAM: nasty, PPID: "7", PATH: "/usr/bin:/bin", IFS: "x" } },
  );
  t.is(env.log(), `${nasty}\n`);
  const stdin = await runSsh(bench, runner, { hosts: [target], argv: ["cat"], stdin: nasty });
  t.is(stdin.log(), nasty);
  t.is((await runSsh(bench, runner, { hosts: [target], script: "cat" })).log(), "");
  t.throws(() => readFileSync(join(bench.folder, "owned")), { code: "ENOENT" });
});

test("no secret is in any command line, and what logs in is not given to the command", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const key = bench.makeKey("locked", { passphrase: "open sesame" });
  const token = randomUUID();
  // Looked for without naming it: the script is a command line too.
  const pattern = `${token.slice(0, -1)}[${token.at(-1)}]`;
  const script = `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '${pattern}'; env | grep -c '${pattern}'; env | grep -c 'sesam[e]'; sleep 0.2`;
  const spec = { hosts: [target], script, auth: { key, passphrase: "PHRASE" } };
  const ran = await runSsh(bench, runner, spec, { secrets: { TOKEN: token, PHRASE: "open sesame" } });
  t.is(ran.log(), "0\n1\n0\n");
});

test("standard output and error come in their order; apart when asked for", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const script = "for i in 1 2 3; do echo o$i; echo e$i >&2; done; printf '\\377\\0x'";
  const together = await runSsh(bench, runner, { hosts: [target], script });
  t.deepEqual(together.bytes(), Buffer.from("o1\ne1\no2\ne2\no3\ne3\n\xff\0x", "latin1"));
  const apart = await runSsh(bench, runner, { hosts: [target], script }, { errorsApart: true });
  t.deepEqual([apart.bytes().toString("latin1"), apart.errors()], ["o1\no2\no3\n\xff\0x", "e1\ne2\ne3\n"]);
});

test("the result is brought back, at most a little more than 64 KiB", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const path = join(bench.folder, "result");
  const env = { FLEETCRON_RESULT: path };
  await runSsh(bench, runner, { hosts: [target], script: `echo '{"a":1}' > "$FLEETCRON_RESULT"; echo "$FLEETCRON_RESULT"` }, { env });
  t.is(readFileSync(path, "utf8"), '{"a":1}\n');
  await runSsh(bench, runner, { hosts: [target], script: `head -c 200000 /dev/zero > "$FLEETCRON_RESULT"` }, { env });
  t.is(readFileSync(path).length, 65_537);
});

test("what is printed is seen while the command runs; the pid is told", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const go = join(bench.folder, "go");
  const ran = drive(runner, sshSpec(bench, { hosts: [target], script: `echo $$; while [ ! -e ${go} ]; do sleep 0.05; done; echo done` }));
  await until("the first line is here", () => ran.log() !== "");
  t.is(ran.pid(), Number(ran.log()));
  await writeFile(go, "");
  t.deepEqual((await ran.done).outcome, { type: "exit", code: 0 });
  t.regex(ran.log(), /^\d+\ndone\n$/);
});

test("TERM asks the whole tree, KILL ends it, wherever its members went", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const { target } = await bench.start();
  const endless = (name: string) => `trap "echo ${name}" TERM; echo $$; while :; do sleep 1; done`;
  // A child in a session of its own, and one that has no parent any more.
  const script = `setsid sh -c '${endless("two")}' & (setsid sh -c '${endless("three")}' &); ${endless("one")}`;
  const ran = drive(runner, sshSpec(bench, { hosts: [target], script }));
  const pids = await until("all pids are told", () => {
    const found = ran.log().match(/^\d+$/gm)?.map(Number);
    return found?.length === 3 && found;
  });
  ran.session.kill("TERM");
  await until("all have been asked", () => ["one", "two", "three"].every((name) => ran.log().includes(name)));
  t.true(pids.every(isAlive));
  ran.session.kill("KILL");
  t.deepEqual((await ran.done).outcome, { type: "signal", name: "SIGKILL" });
  await until("nothing of the tree is left", () => !pids.some(isAlive));
  t.pass();
});

test("a job on several hosts: each its end, lines with their host, at most so many at once", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const servers = [await bench.start(), await bench.start(), await bench.start()];
  const [one, two, three] = servers.map(({ target }) => target) as [string, string, string];
  const port = one.split(":")[1];
  const script = `echo begin; printf 'no end'; case $SSH_CONNECTION in *" ${port}") exit 4;; esac; sleep 0.3`;
  const ran = await runSsh(bench, runner, { hosts: [one, two, three, `nobody.invalid`], script, maxParallel: 2 });
  t.deepEqual(ran.end.outcome, { type: "exit", code: 4 });
  t.deepEqual(
    ran.end.hosts?.map(({ host, outcome }) => [host, outcome.type === "exit" ? outcome.code : outcome.type]),
    [
      [one, 4],
      [two, 0],
      [three, 0],
      ["nobody.invalid", "unreachable"],
    ],
  );
  t.deepEqual(ran.log().split("\n").sort(), ["", ...[one, two, three].flatMap((host) => [`${host} | begin`, `${host} | no end`])].sort());
  const [first, second, third] = ran.end.hosts ?? [];
  t.true(third!.startedAtMs >= Math.min(first!.startedAtMs + first!.durationMs, second!.startedAtMs + second!.durationMs) - 1);
  const again = await runSsh(bench, runner, { hosts: [one, two, three], script }, { onlyHosts: [two] });
  t.deepEqual(
    again.end.hosts?.map(({ host }) => host),
    [two],
  );
});

test("nothing stays on the host when the end has been told", async (t) => {
  await using bench = sshBench();
  const { target } = await bench.start();
  const base = join(bench.folder, "base");
  await mkdir(base);
  const runner = openRunner(bench, { bases: [base] });
  const ran = await runSsh(bench, runner, {
    hosts: [target],
    script: 'ls -d "$(dirname "$FLEETCRON_RESULT")"; stat -c %a "$(dirname "$FLEETCRON_RESULT")"',
  });
  const [folder, mode] = ran.log().trim().split("\n");
  t.true(folder?.startsWith(base));
  t.is(mode, "700");
  await runner.close();
  t.throws(() => readFileSync(join(folder!, "out")), { code: "ENOENT" });
});
