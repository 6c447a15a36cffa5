/** Many hosts, many sessions, much output. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { isAlive, textOf, until } from "../support/processes.ts";
import { drive, openRunner, runSsh, sshSpec } from "../support/ssh-session.ts";
import { sshBench } from "../support/sshd.ts";

// One at a time: each is a load of its own, and a host that is asked to kill has 4.5 s to answer.
test.serial("a job on 50 hosts: each runs it once, with its own output", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  // One machine with 50 addresses is 50 hosts to whoever connects.
  const sshd = await bench.start({ address: "0.0.0.0" });
  const addresses = Array.from({ length: 50 }, (_, index) => `127.0.1.${index + 1}`);
  for (const address of addresses) bench.trust({ address, port: sshd.port, publicKeys: sshd.publicKeys });
  const runs = join(bench.folder, "runs");
  const script = `set -- $SSH_CONNECTION; echo $3 >> ${runs}; echo "I am $3"; echo end`;
  const hosts = addresses.map((address) => `${address}:${sshd.port}`);
  const { end, log } = await runSsh(bench, runner, { hosts, script, maxParallel: 10, connectTimeout: "60s" });
  t.deepEqual(end.outcome, { type: "exit", code: 0 }, JSON.stringify(end));
  t.deepEqual(textOf(runs).trim().split("\n").sort(), [...addresses].sort());
  t.deepEqual(
    log().trim().split("\n").sort(),
    hosts.flatMap((host, index) => [`${host} | I am ${addresses[index]}`, `${host} | end`]).sort(),
  );
});

test.serial("MaxSessions 2: ten executions on one host at once, none fails, all at the same time", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start({ config: ["MaxSessions 2"] });
  const go = join(bench.folder, "go");
  const script = `echo here; while [ ! -e ${go} ]; do sleep 0.1; done`;
  const all = Array.from({ length: 10 }, () => drive(runner, sshSpec(bench, { hosts: [sshd.target], script })));
  await until("all are there", () => all.every(({ log }) => log() === "here\n"));
  t.true(sshd.log().split("Accepted publickey").length - 1 <= 8, "connections are shared");
  // All places are taken: a kill finds one nevertheless.
  all[0]?.session.kill("KILL");
  t.deepEqual((await all[0]?.done)?.outcome, { type: "signal", name: "SIGKILL" });
  writeFileSync(go, "");
  for (const { done } of all.slice(1)) t.deepEqual((await done).outcome, { type: "exit", code: 0 });
});

test.serial("a server that takes one connection with one session: the sessions wait for each other", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start({ config: ["MaxSessions 1", "MaxStartups 1:100:1"] });
  const all = await Promise.all([1, 2, 3, 4].map((code) => runSsh(bench, runner, { hosts: [sshd.target], script: `exit ${code}` })));
  t.deepEqual(
    all.map(({ end }) => end.outcome),
    [1, 2, 3, 4].map((code) => ({ type: "exit", code })),
  );
});

test.serial("many short executions use one connection", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  for (let count = 0; count < 10; count++) await runSsh(bench, runner, { hosts: [sshd.target], script: "true" });
  t.is(sshd.log().split("Accepted publickey").length - 1, 1);
});

test.serial("100 MB come exactly, and a slow reader slows the sender down", async (t) => {
  await using bench = sshBench();
  const base = join(bench.folder, "base");
  await mkdir(base);
  const runner = openRunner(bench, { bases: [base] });
  const sshd = await bench.start();
  const file = join(bench.folder, "blob");
  const block = Buffer.from(Array.from({ length: 2 ** 20 }, (_, index) => (index * 7919) & 255));
  writeFileSync(file, Buffer.concat(Array.from({ length: 100 }, () => block)));
  const hash = createHash("sha256");
  let written = 0;
  let open = 0;
  let mostRss = 0;
  const before = process.memoryUsage.rss();
  const write = async (bytes: Uint8Array) => {
    t.is(++open, 1, "one write at a time");
    hash.update(bytes);
    written += bytes.length;
    if (written % 7 === 0) await systemClock.sleep(1);
    await Promise.resolve();
    mostRss = Math.max(mostRss, process.memoryUsage.rss());
    open--;
  };
  const { end } = await runSsh(bench, runner, { hosts: [sshd.target], argv: ["cat", file] }, { deps: { write } });
  t.deepEqual(end.outcome, { type: "exit", code: 0 });
  t.is(written, 100 * 2 ** 20);
  t.is(hash.digest("hex"), createHash("sha256").update(readFileSync(file)).digest("hex"));
  t.true(mostRss - before < 150 * 2 ** 20, `${Math.round((mostRss - before) / 2 ** 20)} MB`);
  await runner.close();
  t.deepEqual(await readdir(join(base, `fleetcron-${process.getuid?.()}`)), []);
});

test.serial("a command that prints for ever can be killed while nobody reads", async (t) => {
  await using bench = sshBench();
  await using runner = openRunner(bench);
  const sshd = await bench.start();
  const stuck = Promise.withResolvers<void>();
  const script = "echo $$; exec yes | head -c 50000000; sleep 100";
  let first = "";
  const write = async (bytes: Uint8Array) => {
    first ||= Buffer.from(bytes).toString().split("\n")[0] ?? "";
    await stuck.promise;
  };
  const ran = drive(runner, sshSpec(bench, { hosts: [sshd.target], script }), { deps: { write } });
  await until("output", () => first !== "");
  ran.session.kill("KILL");
  await until("it is gone", () => !isAlive(Number(first)));
  stuck.resolve();
  t.deepEqual((await ran.done).outcome, { type: "signal", name: "SIGKILL" });
});
