/** `fleetcron node …`, `record …`, `import crontab`, `doctor` and what holds for all commands, on a fleet of two agents. */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { outcomeWord } from "fleetcron-shared/model/record";
import { parse } from "yaml";
import { type Cli, createCli, type Expected, expectRun, type RunOptions } from "../support/cli-process.ts";
import { binOf } from "../support/daemon.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";

const CRONTAB = `MAILTO=ops@example.org
GREETING=hello
# says hello
*/5 * * * * echo "$GREETING"
@reboot date
61 * * * * never
@daily cat%one%two
`;

const shared = {} as { etcd: EtcdServer; fleet: Fleet; cli: Cli };
const ran = (t: ExecutionContext, args: string | readonly string[], expected: Expected, options?: RunOptions) =>
  expectRun(t, shared.cli, args, expected, options);

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: ["a"] });
  await shared.fleet.addAgent("b", { args: ["--label", "role=db"] });
  const { url, token, folder } = shared.fleet;
  shared.cli = createCli(folder, { FLEETCRON_SERVER: url, FLEETCRON_TOKEN: token, TZ: "Europe/Berlin" });
  await shared.fleet.apply({
    "r/yes": { kind: "interval", run: { command: { script: "echo from $FLEETCRON_NODE" } }, rules: [{ mode: "manyonce" }] },
    "r/no": { kind: "interval", run: { command: { script: "echo sorry; exit 4" } }, rules: [{ mode: "manyonce" }] },
  });
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
});

test.serial("nodes are listed, shown, labelled and drained", async (t) => {
  await ran(t, "node ls", { code: 0, out: /^NODE +STATE[\s\S]*\na +online[^\n]* -\nb +online[^\n]* role=db\n$/ });
  await ran(t, "node ls -l role=db -o name", { code: 0, out: /^b\n$/ });
  await ran(t, "node show b", { code: 0, out: /state: +online\n[\s\S]*labels: .*fleetcron\.io\/os=linux.*role=db/ });
  await ran(t, "node label a role=web disk=ssd", { code: 0, out: /labels: .*role=web/ });
  await ran(t, "node label a disk-", { code: 0 });
  const { out } = await ran(t, "node show a -o json", { code: 0 });
  t.like(JSON.parse(out), { id: "a", apiLabels: { role: "web" } });
  t.false(out.includes("disk"));
  await ran(t, "node label a role", { code: 2, err: /"role" is not of the form NAME=VALUE/ });
  await ran(t, "node drain a", { code: 0, out: /^a takes no new work; it is free\n$/ });
  await eventually("it is drained", async () => (await shared.cli("node ls")).out.includes("drained"));
  await ran(t, "job run r/yes --wait", { code: 0, out: /^b: +exit:0/ });
  await ran(t, "node drain a --wait", { code: 0, out: /^a takes no new work; it is free\n$/ });
  await ran(t, "node undrain a", { code: 0, out: /a takes work again/ });
  await ran(t, "node forget a", { code: 4, err: /node a is online/ });
  await ran(t, "node show c", { code: 3, err: /there is no node c/ });
  await ran(t, "node show a/b", { code: 2 });
});

test.serial("a draining node tells what it still runs and when it should be free; --wait waits for that", async (t) => {
  const { fleet } = shared;
  const lasting = (seconds: number, more: Partial<JobSpec> = {}): JobSpec => ({
    kind: "common",
    run: { command: { script: `until [ -e ${fleet.file("go")} ]; do sleep 0.1; done; sleep ${seconds}` } },
    rules: [{ mode: "manyonce", target: { nodes: ["b"] } }],
    ...more,
  });
  await fleet.apply({
    "d/limited": lasting(0, { timeout: "10m", killGrace: "5s" }),
    "d/open": lasting(1),
    "d/tick": { ...lasting(0), rules: [{ mode: "cycle", timer: "* * * * * *", target: { nodes: ["b"] } }], overlap: "queue" },
  });
  await eventually("three run and a tick waits", async () => {
    const node = await fleet.api.node("b");
    return node.executions.length === 3 && node.queued === 1;
  });
  const { out } = await ran(t, "node drain b", {
    code: 0,
    out: /^b takes no new work; 3 run, 1 wait; nobody can tell when it is free\n\nEXECUTION +JOB +TRY +STARTED +FREE\n/,
  });
  t.regex(out, /\S+ +d\/limited +1 +.* ago +in 10m\n/);
  t.regex(out, /\S+ +d\/open +1 +.* ago +-\n/);
  await ran(t, "node show b", {
    code: 0,
    out: /state: +draining\n[\s\S]*drained: +by .*; 3 run, 1 wait; [\s\S]*EXECUTION +JOB[\s\S]*d\/open/,
  });
  await ran(t, "node drain b --timeout 1s", { code: 2, err: /give both/ });
  await ran(t, "node drain b --wait --timeout 300ms", { code: 7, err: /b is not free after 300ms: 3 run, 1 wait/ });
  const waiting = ran(t, "node drain b --wait --timeout 20s", { code: 0, out: /^b takes no new work; it is free\n$/ });
  writeFileSync(fleet.file("go"), "");
  await waiting;
  const ticks = (await fleet.records("d/tick")).filter((record) => outcomeWord(record.outcome) === "exit:0");
  t.is(ticks.length, 2, "the tick that was waiting has run");
  t.like(await fleet.api.node("b"), { drained: true, running: 0, queued: 0, freeAt: null, executions: [] });
  await ran(t, "node undrain b", { code: 0 });
  await ran(t, ["job", "rm", "d/limited", "d/open", "d/tick"], { code: 0 });
});

test.serial("records are listed, filtered and shown", async (t) => {
  await ran(t, "job run r/yes --node a --wait", { code: 0 });
  await ran(t, "job run r/no --node b --wait", { code: 1 });
  await ran(t, "record ls --node a --job r/yes --outcome success", { code: 0, out: /^RECORD +JOB[\s\S]*r\/yes +a +exit:0/ });
  const { out } = await ran(t, "record ls --outcome exit:4 --since 10m --group r --limit 1 -o name", { code: 0, out: /^\S+-1\n$/ });
  await ran(t, `record show ${out.trim()}`, { code: 0, out: /result: +exit:4\n[\s\S]*order: [\s\S]*\n\nsorry\n$/ });
  await ran(t, "record ls --until 2020-01-01T00:00:00Z", { code: 0, out: /^$/, err: /no records that match/ });
  await ran(t, "record ls --since tomorrow", { code: 2, err: /--since "tomorrow" is not a time/ });
  await ran(t, "record show nothing", { code: 3 });
  await ran(t, "proc ls", { code: 0, out: /^$/, err: /no process of a job is running/ });
});

test.serial("a crontab becomes a job file that apply accepts, and what is left behind is told", async (t) => {
  const user = await ran(t, "import crontab -", { code: 0, err: /\(standard input\):1: MAILTO is not carried over/ }, { stdin: CRONTAB });
  t.regex(user.err, /\(standard input\):6: not imported: /);
  t.regex(user.err, /3 jobs, 2 notes above; by the clock of Europe\/Berlin\ncron lets runs of an entry overlap; .*overlap: skip/);
  const { jobs } = parse(user.out) as { jobs: Record<string, unknown> };
  t.deepEqual(Object.keys(jobs), ["crontab/echo", "crontab/date", "crontab/cat"]);
  t.like(jobs["crontab/echo"], {
    description: "says hello",
    env: { GREETING: "hello" },
    rules: [{ timer: "*/5 * * * *", timezone: "Europe/Berlin" }],
  });
  t.like(jobs["crontab/cat"], { run: { command: { script: "cat", stdin: "one\ntwo\n" } } });
  await ran(t, "apply -f - --dry-run", { code: 0, out: /3 created\n$/ }, { stdin: user.out });

  const system = "17 * * * * nobody date\n";
  const ofSystem = await ran(t, "import crontab - --system --group sys --timezone UTC --target b", { code: 0 }, { stdin: system });
  t.like((parse(ofSystem.out) as { jobs: object }).jobs, {
    "sys/date": { run: { command: { script: "date", user: "nobody" } }, rules: [{ timezone: "UTC", target: { nodes: ["b"] } }] },
  });

  const example = join(import.meta.dirname, "../../examples/crontab");
  await ran(t, `import crontab ${example} --out crontab.yaml`, { code: 0, out: /^$/, err: /crontab:7: MAILTO/ });
  await ran(t, `import crontab ${example} --out crontab.yaml`, { code: 2, err: /crontab\.yaml cannot be written: it exists already/ });
  await ran(t, "apply -f crontab.yaml", { code: 0, out: /17 created\n$/ });
  await ran(t, `import crontab ${example} --apply --dry-run`, { code: 0, out: /17 unchanged\n$/ });
  await ran(t, "import crontab -", { code: 2, err: /holds no entry that could be carried over/ }, { stdin: "# nothing\n" });
  await ran(t, "import crontab - --timezone Mars", { code: 2, err: /time zone "Mars" is not known/ }, { stdin: system });
});

test.serial("doctor says that all is well, or which check fails", async (t) => {
  await ran(t, "doctor", { code: 0, out: /^ok +master: [\s\S]*ok +leader: [\s\S]*ok +nodes: all 2 online\nok +etcd/ });
  const { out } = await ran(t, "doctor -o json", { code: 0 });
  t.true((JSON.parse(out) as { checks: { level: string }[] }).checks.length > 4);
  await ran(t, "--token wrong doctor", { code: 1, out: /^fail +master: the token is not known/ });
  await ran(t, "--server http://127.0.0.1:1 doctor", { code: 6, out: /^fail +master: no master can be reached/ });
});

test.serial("a wrong token, a wrong address", async (t) => {
  await ran(t, "job ls", { code: 5, err: /^error: the token is not known here\n/ }, { env: { FLEETCRON_TOKEN: "fct_wrong" } });
  await ran(t, "job ls", { code: 5 }, { env: { FLEETCRON_TOKEN: "" } });
  await ran(t, ["--token", "a b", "job", "ls"], { code: 2, err: /the token holds characters/ });
  await ran(t, "--server nowhere job ls", { code: 2, err: /"nowhere" is not the address of a master/ });
  await ran(t, `--server ${shared.etcd.endpoint} job ls`, { code: 6, err: /not as a Fleetcron master does/ });
  const config = ["server: x", "tokn: y"].join("\n");
  const folder = join(shared.fleet.folder, "fleetcron");
  mkdirSync(folder);
  writeFileSync(join(folder, "config.yaml"), config);
  await ran(
    t,
    "job ls",
    { code: 2, err: /config\.yaml: tokn: unknown key \(did you mean "token"/ },
    { env: { XDG_CONFIG_HOME: shared.fleet.folder } },
  );
});

test.serial("a reader that has seen enough is no failure", async (t) => {
  const { url, token, folder } = shared.fleet;
  const command = `set -o pipefail; "$NODE" "$BIN" import crontab "$FILE" 2>/dev/null | head -1; "$NODE" "$BIN" record ls -o json | true`;
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    NODE: process.execPath,
    BIN: binOf("fleetcron"),
    FLEETCRON_SERVER: url,
    FLEETCRON_TOKEN: token,
  };
  const file = join(folder, "long.crontab");
  writeFileSync(
    file,
    "* * * * * true\n".repeat(2) + Array.from({ length: 5000 }, (_, i) => `${i % 60} * * * * echo number-${i}\n`).join(""),
  );
  const { stdout, stderr } = await promisify(execFile)("bash", ["-c", command], { env: { ...env, FILE: file } });
  t.is(stdout, `# from ${file}\n`);
  t.is(stderr, "");
});

test.serial("another prefix is another cluster: its data folder is refused, its master knows nothing of this one", async (t) => {
  const { folder } = shared.fleet;
  const known = readFileSync(join(folder, "master/cluster"), "utf8").trim();
  await ran(
    t,
    ["serve", "--etcd", shared.etcd.endpoint, "--prefix", "/other", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "master")],
    {
      code: 4,
      err: new RegExp(`belongs to cluster ${known}, but /other .*\n.*--prefix`),
    },
  );
});

test.serial("a node that is gone can be forgotten", async (t) => {
  await shared.fleet.agent("b").stop();
  await eventually("it is offline", async () => (await shared.cli("node show b")).out.includes("offline"));
  await ran(t, "doctor", { code: 0, out: /warn +nodes: 1 of 2 offline: b\n +to do: / });
  await ran(t, "job run r/yes --node b", { code: 4 });
  await ran(t, "node forget b", { code: 0, out: /^b forgotten\n$/ });
  await ran(t, "node ls -o name", { code: 0, out: /^a\n$/ });
});
