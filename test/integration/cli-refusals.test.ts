/** What the command line refuses by itself, the same of `serve` and `up` at their start, and the completion scripts. Needs no fleet. */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { createCli, expectRun } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { tempFolder } from "../support/processes.ts";

/** Nothing listens there. */
const NOBODY = "http://127.0.0.1:4";

test("usage: unknown words with the nearest one, missing and wrong values", async (t) => {
  using temp = tempFolder();
  const cli = createCli(temp.path, { FLEETCRON_SERVER: NOBODY });
  const refused = (args: string | readonly string[], err: RegExp) => expectRun(t, cli, args, { code: 2, out: /^$/, err });
  await refused("jbo ls", /^error: unknown command 'jbo'\n {2}to do: did you mean job\?/);
  await refused("job shw t/x", /unknown command 'shw'\n.*did you mean show\? \(see `fleetcron job --help`\)/);
  await refused("job ls --lmit 3", /unknown option '--lmit'\n.*did you mean --limit\? \(see `fleetcron job ls --help`\)/);
  await refused("job", /^error: fleetcron job needs a command\n {2}to do: one of: ls, show, run, /);
  await refused("job show", /missing required argument 'job'/);
  await refused("job show a b", /too many arguments/);
  await refused("apply", /required option '-f, --file <path>'/);
  await refused("-o xml job ls", /'xml' is invalid.*table, json, yaml, name/);
  await refused("job ls --limit 0", /--limit "0" is not a whole number from 1 to 100000/);
  await refused("completion tcsh", /'tcsh' is invalid/);
  await refused("import crontab x --dry-run", /--dry-run belongs to --apply/);
});

test("help and version are no mistakes and need no master", async (t) => {
  using temp = tempFolder();
  const cli = createCli(temp.path, { FLEETCRON_SERVER: NOBODY });
  await expectRun(t, cli, "--help", { code: 0, out: /^Usage: fleetcron[\s\S]*Exit codes: 0 done, /, err: /^$/ });
  await expectRun(t, cli, "job run --help", { code: 0, out: /--wait[\s\S]*Global Options:[\s\S]*--server/ });
  await expectRun(t, cli, "version", { code: 0, out: /^\d+\.\d+\.\d+\n$/ });
  await expectRun(t, cli, "--version", { code: 0, out: /^\d+\.\d+\.\d+\n$/ });
  await expectRun(t, cli, "version -o json", { code: 0, out: /"version": "\d/ });
});

test("no master: exit code 6 and where to look; --debug shows the stack", async (t) => {
  using temp = tempFolder();
  const cli = createCli(temp.path);
  await expectRun(t, cli, `job ls --server ${NOBODY}`, {
    code: 6,
    err: /no master can be reached at http:\/\/127\.0\.0\.1:4: the connection was refused\n.*fleetcron up/,
  });
  const { code, err } = await cli(`--debug job ls --server ${NOBODY}`);
  t.is(code, 6);
  t.regex(err, /server\/unreachable\n[\s\S]*\n {4}at /);
});

test("serve and up: a data folder that cannot be used, an address that is taken or open to others, no etcd", async (t) => {
  using temp = tempFolder();
  writeFileSync(temp.file("file"), "");
  const cli = createCli(temp.path);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  await using etcd = await startEtcd();
  const withEtcd = `--etcd ${etcd.endpoint}`;
  for (const command of ["serve", "up"]) {
    const refused = (args: string, code: number, err: RegExp) => expectRun(t, cli, `${command} ${args}`, { code, out: /^$/, err });
    await refused(`${withEtcd} --listen 127.0.0.1:0 --data-dir /proc/x`, 2, /the data folder \/proc\/x cannot be used: .*\n.*--data-dir/);
    await refused(`${withEtcd} --listen 127.0.0.1:0 --data-dir file/x`, 2, /the data folder .*\/file\/x cannot be used/);
    await refused(`${withEtcd} --listen 127.0.0.1:${port} --data-dir ${command}`, 2, new RegExp(`127\\.0\\.0\\.1:${port}`));
    await refused(`${withEtcd} --listen 0.0.0.0:0 --data-dir ${command}`, 2, /insecure-plain/);
    await refused(`${withEtcd} --listen nonsense --data-dir ${command}`, 2, /nonsense/);
    await refused(`--etcd ${NOBODY} --listen 127.0.0.1:0 --data-dir ${command}-2`, 6, /127\.0\.0\.1:4|etcd/);
  }
  await expectRun(t, cli, "serve --session-ttl soon", { code: 2, err: /--session-ttl.*duration/ });
  await expectRun(
    t,
    cli,
    ["serve", "--print-config"],
    { code: 0, out: /etcdPassword: "?\*+/ },
    { env: { FLEETCRON_MASTER_ETCD_PASSWORD: "secret" } },
  );
  await expectRun(t, cli, "serve", { code: 2, err: /FLEETCRON_MASTER_DATADIR.*did you mean/ }, { env: { FLEETCRON_MASTER_DATADIR: "x" } });
});

test("completion: bash completes commands, options and values", async (t) => {
  using temp = tempFolder();
  const cli = createCli(temp.path, { FLEETCRON_SERVER: NOBODY });
  const { out } = await expectRun(t, cli, "completion bash", { code: 0 });
  const complete = async (...words: string[]) => {
    const line = words.map((word) => `'${word}'`).join(" ");
    const script = `${out}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _fleetcron; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["--norc", "-c", script]);
    t.is(stderr, "");
    return stdout.trim().split("\n");
  };
  t.deepEqual(await complete("fleetcron", "jo"), ["job"]);
  t.deepEqual(await complete("fleetcron", "job", "re"), ["resume", "reset"]);
  t.deepEqual(await complete("fleetcron", "-o", "json", "job", "wh"), ["why"]);
  t.deepEqual(await complete("fleetcron", "apply", "--dr"), ["--dry-run"]);
  t.deepEqual(await complete("fleetcron", "record", "ls", "--output", "ya"), ["yaml"]);
  t.deepEqual(await complete("fleetcron", "run", "ls", "--state", ""), ["running", "ended"]);
  t.deepEqual(await complete("fleetcron", "completion", "z"), ["zsh"]);
  t.deepEqual(await complete("fleetcron", "completion", ""), ["bash", "zsh", "fish"], "options only after a dash");
  await expectRun(t, cli, "completion zsh", { code: 0, out: /^#compdef fleetcron\n[\s\S]*compdef _fleetcron fleetcron\n$/ });
  await expectRun(t, cli, "completion fish", { code: 0, out: /complete -c fleetcron / });
});

test("files: a folder without job files, a device, a file that is none", async (t) => {
  using temp = tempFolder();
  mkdirSync(join(temp.path, "empty"));
  const cli = createCli(temp.path, { FLEETCRON_SERVER: NOBODY });
  const refused = (args: string, err: RegExp) => expectRun(t, cli, args, { code: 2, out: /^$/, err });
  await refused("apply -f empty", /empty holds no \*\.yaml, \*\.yml or \*\.json file/);
  await refused("apply -f none", /none cannot be read: there is no such file/);
  await refused("import crontab empty", /empty is a folder, a file is needed/);
  await refused("import crontab none", /none cannot be read: there is no such file/);
});
