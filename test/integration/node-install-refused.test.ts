/** What `fleetcron node install` refuses, each with the host, the step, why and what to do; a host that fails does not stop the others. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { type Cli, expectRun } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { endInstallation, fakePrograms, installerOf, processesOf, programOfVersion } from "../support/install-host.ts";
import { textOf } from "../support/processes.ts";
import { freePort, type SshBench, type Sshd, sshBench } from "../support/sshd.ts";

const shared = {} as { etcd: EtcdServer; bench: SshBench; sshd: Sshd; cli: Cli; wishes: readonly string[] };

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.bench = sshBench();
  shared.sshd = await shared.bench.start();
  shared.cli = installerOf(shared.bench.home, {}, programOfVersion(join(shared.bench.folder, "copy"), "98.0.0"));
  shared.wishes = ["--etcd", shared.etcd.endpoints[0] ?? ""];
});
test.after.always(async () => {
  await shared.bench?.[Symbol.asyncDispose]();
  await shared.etcd?.[Symbol.asyncDispose]();
});

test("two hosts, one of them out of reach: the other is installed, with sudo, the exit code is 1, and JSON tells of both", async (t) => {
  t.timeout(240_000);
  const { bench, cli, wishes } = shared;
  const prefix = join(bench.folder, "two");
  const asked = join(bench.folder, "sudo.log");
  const sudo = `echo "$*" >>${asked}\n[ "$1" = -n ] && shift && exec "$@"`;
  const sshd = await bench.start({ config: [fakePrograms(join(bench.folder, "user"), { id: "echo 1000", sudo })] });
  t.teardown(() => endInstallation(prefix));
  const nobody = `${bench.user}@127.0.0.1:${await freePort()}`;
  const args = ["node", "install", nobody, sshd.target, "--prefix", prefix, ...wishes, "-o", "json"];
  const { out } = await expectRun(t, cli, args, {
    code: 1,
    err: /error: .*connecting: 127\.0\.0\.1 port \d+: nobody listens there .*\n +to do: /,
  });
  const { items } = JSON.parse(out) as { items: Record<string, unknown>[] };
  t.is(items[0]?.state, "failed");
  t.is((items[0]?.error as { code?: unknown } | undefined)?.code, "ssh/unreachable");
  t.is(items[1]?.state, "installed");
  t.regex(textOf(asked), /^-n true\n(-n sh -c eval "\$\(dd bs=1 count=\d+ 2>\/dev\/null\)"\n)+$/, "nothing else is seen in ps");
  t.true(processesOf(prefix).length > 0);
  const uninstall = ["node", "uninstall", nobody, sshd.target, "--prefix", prefix, "--purge"];
  await expectRun(t, cli, uninstall, { code: 1, out: /removed/ });
  t.false(existsSync(prefix));
});

test("a host whose key is not known, or has changed, and a login that is refused", async (t) => {
  const { bench, cli, wishes } = shared;
  const unknown = await bench.start({ isKnown: false });
  const install = (target: string, ...more: string[]) => [
    "node",
    "install",
    target,
    "--prefix",
    join(bench.folder, "none"),
    ...wishes,
    ...more,
  ];
  await expectRun(t, cli, install(unknown.target), {
    code: 1,
    err: /connecting: .*its ssh-ed25519 key SHA256:\S+ is in none of .*\n +to do: .*fleetcron ssh trust/,
  });
  bench.trust({ ...unknown, publicKeys: shared.sshd.publicKeys });
  await expectRun(t, cli, install(unknown.target, "--host-keys", "accept-new"), {
    code: 1,
    err: /it shows the ssh-ed25519 key SHA256:\S+, but \S+:\d+ has SHA256:/,
  });

  const secret = "not-the-password-7261";
  const passwords = await bench.start({ config: ["PasswordAuthentication yes"] });
  const refused = await expectRun(
    t,
    cli,
    install(passwords.target, "--password"),
    { code: 1, err: /not let in; .*tried: the password.*\n +to do: / },
    { env: { FLEETCRON_SSH_PASSWORD: secret } },
  );
  t.false((refused.err + refused.out).includes(secret));
  await expectRun(t, cli, install(passwords.target, "--password"), {
    code: 2,
    err: /standard input is none\n +to do: set FLEETCRON_SSH_PASSWORD/,
  });
  t.false(existsSync(join(bench.folder, "none")));
});

test("a host of another processor, another system, without room, with a tar that fails", async (t) => {
  const { bench, cli, wishes } = shared;
  const prefix = join(bench.folder, "odd");
  t.teardown(() => endInstallation(prefix));
  const refusal = async (name: string, programs: Readonly<Record<string, string>>, err: RegExp, ...more: string[]) => {
    const sshd = await bench.start({ config: [fakePrograms(join(bench.folder, name), programs)] });
    await expectRun(t, cli, ["node", "install", sshd.target, "--prefix", prefix, ...wishes, ...more], { code: 1, err });
  };
  const other = process.arch === "x64" ? "aarch64" : "x86_64";
  const uname = (system: string, machine: string) => ({ uname: `[ "$1" = -m ] && echo ${machine} || echo ${system}` });
  await refusal(
    "arch",
    uname("Linux", other),
    /checking the host: its processor is \S+ \(\w+\), and \S+ is for \w+\n +to do: .*--node-binary/,
  );
  await refusal("bsd", uname("FreeBSD", "amd64"), /it runs FreeBSD\n +to do: agents run on Linux/);
  await refusal("full", { df: "echo Filesystem; echo /dev/x 100 50 4096 50% /" }, /4 MiB free, and \d+ MiB are needed\n +to do: /);
  await refusal("broken", { tar: "exit 2" }, /uploading: the bundle did not arrive whole.*\n +to do: /);
  t.false(existsSync(join(prefix, "current")));
});

test("an agent that does not get ready says why; a new version that does not gives way to the one before", async (t) => {
  t.timeout(240_000);
  const { bench, sshd, cli, etcd } = shared;
  const prefix = join(bench.folder, "unready");
  t.teardown(() => endInstallation(prefix));
  const file = join(bench.home, "unready.yaml");
  writeFileSync(file, `etcd: [${etcd.endpoints[0]}]\nnodeId: unready\ndataDir: /proc/nowhere\n`);
  const install = ["node", "install", sshd.target, "--prefix", prefix];
  const err =
    /waiting for the agent: the agent was started and does not get ready; it says: .*the data folder \/proc\/nowhere cannot be used.*\n +to do: /;
  await expectRun(t, cli, [...install, "--config", file], { code: 1, err });
  // What was written is still ours, so it may be mended without force.
  writeFileSync(file, `etcd: [${etcd.endpoints[0]}]\nnodeId: unready\ndataDir: ${prefix}/data\n`);
  await expectRun(t, cli, [...install, "--config", file], { code: 0, out: /unready +changed/ });

  const folder = join(bench.folder, "broken");
  const broken = installerOf(bench.home, {}, programOfVersion(folder, "99.0.0"));
  const main = join(folder, "packages/agent/src/main.ts");
  writeFileSync(main, `if (!process.argv.includes("--version")) process.exit(2);\n${readFileSync(main, "utf8")}`);
  await expectRun(t, broken, install, { code: 1, err: /does not get ready; .*; 98\.0\.0-\S+ is ready again\n/ });
  await expectRun(t, cli, install, { code: 0, out: /unready +unchanged/ });
  await expectRun(t, cli, ["node", "uninstall", sshd.target, "--prefix", prefix, "--purge"], { code: 0, out: /removed/ });
});

test("wrong options are refused before any host is asked", async (t) => {
  const { bench, cli, sshd } = shared;
  const install = ["node", "install", sshd.target];
  const file = join(bench.home, "wrong.yaml");
  writeFileSync(file, "etdc: [http://127.0.0.1:2379]\n");
  await expectRun(t, cli, [...install, "--config", file], { code: 2, err: /wrong\.yaml:1: .*etdc/ });
  await expectRun(t, cli, [...install, "--label", "a=b"], { code: 2, err: /--label need --etcd/ });
  await expectRun(t, cli, [...install, "--etcd", "http://x:1", "--id", "x!"], { code: 2, err: /the options: nodeId: found "x!"/ });
  await expectRun(t, cli, [...install, "--etcd", "http://x:1", "--prefix", "relative"], { code: 2, err: /absolute path/ });
  await expectRun(t, cli, [...install, "--etcd", "http://x:1", "--prefix", "/opt/../etc"], { code: 2, err: /cannot be the folder/ });
  await expectRun(t, cli, [...install, sshd.target], { code: 2, err: /named twice/ });
  await expectRun(t, cli, ["node", "install", "--", "-oProxyCommand=id"], { code: 2, err: /begins with a dash/ });
  await expectRun(t, cli, [...install, "b", "--etcd", "http://x:1", "--id", "x"], { code: 2, err: /single host/ });
  await expectRun(t, cli, [...install, "--prefix", join(bench.folder, "empty")], {
    code: 1,
    err: /the agent's settings: there are none yet.*\n +to do: give --etcd/,
  });
  await expectRun(t, cli, [...install, "--etcd", "http://x:1", "--node-binary", file], {
    code: 2,
    err: /no Node\.js that can be installed/,
  });
});
