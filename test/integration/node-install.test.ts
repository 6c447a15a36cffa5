/** `fleetcron node install` and `uninstall` on a real OpenSSH server: from an empty folder to a node that runs a job, an upgrade, and nothing left. */
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { expectRun } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually, startFleet } from "../support/fleet.ts";
import {
  endInstallation,
  fakeCrontab,
  fakePrograms,
  fakeSystemd,
  installerOf,
  processesOf,
  programOfVersion,
} from "../support/install-host.ts";
import { isAlive, textOf } from "../support/processes.ts";
import { sshBench } from "../support/sshd.ts";

test("an agent is installed, runs jobs, is upgraded with an execution running, and is removed with all that it left", async (t) => {
  t.timeout(300_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: [] });
  await using bench = sshBench();
  const crontab = join(bench.folder, "crontab");
  writeFileSync(crontab, "@daily true\n");
  const sshd = await bench.start({ config: [fakePrograms(join(bench.folder, "bin"), { crontab: fakeCrontab(crontab) })] });
  const prefix = join(bench.folder, "opt");
  t.teardown(() => endInstallation(prefix));
  const env = { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token };
  // Copies: the checkout may change while the test runs.
  const older = installerOf(bench.home, env, programOfVersion(join(bench.folder, "older"), "98.0.0"));
  const newer = installerOf(bench.home, env, programOfVersion(join(bench.folder, "newer"), "99.0.0"));
  const install = ["node", "install", sshd.target, "--prefix", prefix];
  const uninstall = ["node", "uninstall", sshd.target, "--prefix", prefix];
  const wishes = ["--etcd", etcd.endpoints[0] ?? "", "--id", "web-1", "--label", "role=web"];
  const nodeNow = () => fleet.api.node("web-1");

  const first = await expectRun(t, older, [...install, ...wishes], { code: 0, out: /web-1 +installed +98\.0\.0-[0-9a-f]{10} .* cron\n/ });
  t.regex(textOf(crontab), new RegExp(`^@daily true\n@reboot ${prefix}/fleetcron-agent-ctl start # `));
  t.regex(first.err, /: uploading\n[\s\S]*: starting\n[\s\S]*: waiting until the masters see it\n/);
  const node = await nodeNow();
  t.true(node.online);
  t.is(node.labels.role, "web");
  t.is(statSync(join(prefix, "etc/agent.yaml")).mode & 0o777, 0o600);

  await fleet.apply({ "t/hello": { run: { command: { script: "echo hello" } }, rules: [{ mode: "manyonce" }] } });
  const hasRun = async () => (await fleet.records("t/hello")).some(({ success, nodeId }) => success && nodeId === "web-1");
  await eventually("a job has run there", hasRun);

  const again = await expectRun(t, older, [...install, ...wishes], { code: 0, out: /web-1 +unchanged/ });
  t.notRegex(again.err, /uploading|starting/);
  await expectRun(t, older, install, { code: 0, out: /web-1 +unchanged/ });
  t.is((await nodeNow()).pid, node.pid, "the agent was not touched");

  const gate = join(bench.folder, "gate");
  const script = `while [ ! -e ${gate} ]; do sleep 0.1; done; exit 7`;
  await fleet.apply({ "t/long": { run: { command: { script } }, rules: [{ mode: "manyonce" }], success: { exitCodes: [7] } } });
  const [execution] = await eventually("it runs", async () => {
    const { executions } = await nodeNow();
    return executions.length === 1 && executions;
  });
  await expectRun(t, older, uninstall, {
    code: 1,
    err: /1 executions are running or waiting; nothing was removed, and the agent was started again/,
  });
  await eventually("the agent is back", async () => (await nodeNow()).pid !== node.pid && (await nodeNow()).online);

  const before = readlinkSync(join(prefix, "current"));
  {
    await using proxy = await startFaultProxy(sshd.port);
    bench.trust({ ...sshd, port: proxy.port });
    let left = 20_000_000;
    proxy.onData = (direction, bytes) => {
      if (direction === "toServer") left -= bytes;
      if (left < 0) proxy.drop();
    };
    const through = ["node", "install", `${bench.user}@127.0.0.1:${proxy.port}`, "--prefix", prefix];
    await expectRun(t, newer, through, { code: 1, err: /uploading: .*\n +to do: / });
  }
  await eventually("nothing is left of the upload", async () => readdirSync(join(prefix, "releases")).length === 1);
  t.is(readlinkSync(join(prefix, "current")), before);
  t.true((await nodeNow()).online, "the old one goes on");

  await expectRun(t, newer, install, { code: 0, out: /web-1 +upgraded +99\.0\.0-/ });
  const upgraded = await nodeNow();
  t.is(upgraded.version, "99.0.0");
  t.deepEqual(
    upgraded.executions.map((each) => each.execution),
    [execution?.execution ?? ""],
  );
  t.is(readdirSync(join(prefix, "releases")).length, 2);
  writeFileSync(gate, "");
  await eventually("the execution has its true end", async () =>
    (await fleet.records("t/long")).some(({ outcome, success }) => outcome.type === "exit" && outcome.code === 7 && success),
  );

  await expectRun(t, newer, [...uninstall, "--purge"], { code: 0, out: /web-1 +removed .* yes/ });
  t.false(existsSync(prefix));
  t.deepEqual(processesOf(prefix), []);
  t.false(isAlive(upgraded.pid));
  t.is(textOf(crontab), "@daily true\n");
  await t.throwsAsync(nodeNow(), { message: /web-1/ });
  await expectRun(t, newer, uninstall, { code: 0, out: /not there/ });
});

test("executions that are to be stopped are ended and recorded; edited settings and data stay", async (t) => {
  t.timeout(240_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: [] });
  await using bench = sshBench();
  const sshd = await bench.start();
  const prefix = join(bench.folder, "opt");
  t.teardown(() => endInstallation(prefix));
  const cli = installerOf(bench.home, {}, programOfVersion(join(bench.folder, "copy"), "98.0.0"));
  const config = join(bench.home, "agent.yaml");
  writeFileSync(config, `# of the team\netcd: [${etcd.endpoints[0]}]\nnodeId: db-1\nlabels: { role: db }\n`);
  const install = ["node", "install", sshd.target, "--prefix", prefix];
  await expectRun(t, cli, [...install, "--config", config, "--no-start"], { code: 0, out: / installed / });
  t.deepEqual(processesOf(prefix), []);
  t.regex(readFileSync(join(prefix, "etc/agent.yaml"), "utf8"), new RegExp(`# of the team[\\s\\S]*dataDir: ${prefix}/data\n`));
  await expectRun(t, cli, install, { code: 0, out: /db-1 +started/, err: /neither systemd nor a crontab/ });

  const written = readFileSync(join(prefix, "etc/agent.yaml"), "utf8");
  writeFileSync(join(prefix, "etc/agent.yaml"), `${written}capacity: 3\n`);
  const other = [...install, "--etcd", etcd.endpoints[0] ?? "", "--id", "db-1"];
  await expectRun(t, cli, other, { code: 1, err: /agent\.yaml differs .* edited since\n +to do: .*--force/ });
  await expectRun(t, cli, install, { code: 0, out: /db-1 +unchanged/ });

  await fleet.apply({ "t/long": { run: { command: { script: "sleep 600" } }, rules: [{ mode: "manyonce" }] } });
  await eventually("it runs", async () => (await fleet.api.node("db-1")).executions.length === 1);
  const removed = await expectRun(t, cli, ["node", "uninstall", sshd.target, "--prefix", prefix, "--stop-executions"], {
    code: 0,
    out: /db-1 +removed/,
  });
  t.regex(removed.err, /agent\.yaml was edited by somebody and is still there/);
  t.deepEqual(processesOf(prefix), []);
  await eventually("its record", async () => (await fleet.records("t/long")).some(({ outcome }) => outcome.type === "killed"));
  t.deepEqual(readdirSync(prefix).sort(), ["data", "etc"]);
});

test("where systemd runs, the agent becomes a service", async (t) => {
  t.timeout(240_000);
  if (process.getuid?.() !== 0) return void t.pass("needs root for a mount namespace");
  await using etcd = await startEtcd();
  await using bench = sshBench();
  const folder = join(bench.folder, "systemd");
  const sshd = await bench.start({ config: fakeSystemd(folder) });
  const prefix = join(bench.folder, "opt");
  t.teardown(() => endInstallation(prefix));
  const cli = installerOf(bench.home, {}, programOfVersion(join(bench.folder, "copy"), "98.0.0"));
  const install = ["node", "install", sshd.target, "--prefix", prefix, "--etcd", etcd.endpoints[0] ?? "", "--id", "s-1"];
  const unit = join(folder, "units/fleetcron-agent.service");
  writeFileSync(unit, "[Service]\nExecStart=/usr/local/bin/fleetcron-agent\n");
  await expectRun(t, cli, install, { code: 1, err: /fleetcron-agent\.service is there and was made by somebody else\n +to do: / });
  rmSync(unit);

  await expectRun(t, cli, install, { code: 0, out: /s-1 +installed .* systemd +systemd\n/ });
  const text = textOf(unit);
  t.regex(text, /^KillMode=process$/m);
  t.regex(text, new RegExp(`^ExecStart=${prefix}/current/bin/node ${prefix}/current/packages/\\S+ --ready-file \\S+$`, "m"));
  t.notRegex(text, /npm install|StateDirectory/);
  t.false(existsSync(join(prefix, "fleetcron-agent-ctl")));
  t.is(processesOf(prefix).length, 2, "the agent and its spawner");
  await expectRun(t, cli, install, { code: 0, out: /s-1 +unchanged/ });
  await expectRun(t, cli, ["node", "uninstall", sshd.target, "--prefix", prefix], { code: 0, out: /s-1 +removed/ });
  t.deepEqual(processesOf(prefix), []);
  t.false(existsSync(unit));
  t.deepEqual(readdirSync(prefix), ["data"]);
  const calls = textOf(join(folder, "calls"))
    .split("\n")
    .filter((call) => !/^(is-active|show)/.test(call));
  const service = "fleetcron-agent.service";
  t.deepEqual(calls, [
    "daemon-reload",
    `enable ${service}`,
    `restart ${service}`,
    `stop ${service}`,
    `disable ${service}`,
    "daemon-reload",
    "",
  ]);
});
