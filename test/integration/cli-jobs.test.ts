/** `fleetcron apply`, `job …` and `run …` as a user types them, on a fleet of two agents. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ExecutionContext } from "ava";
import test from "ava";
import { parse } from "yaml";
import { type Cli, createCli, type Expected, expectRun, type RunOptions } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";

const JOBS = `jobs:
  t/yes:
    run: { command: { script: 'echo "fine $WORD"' } }
    rules: [{ mode: cycle, timer: "0 0 1 1 *", timezone: Europe/Berlin }]
  t/no:
    kind: interval
    run: { command: { script: echo bad; exit 3 } }
    rules: [{ mode: cycle, timer: "0 0 1 1 *" }]
  t/long:
    kind: alone
    run: { command: { script: sleep 600 } }
    rules: [{ mode: cycle, timer: "0 0 1 1 *" }]
  t/once:
    run: { command: { script: "true" } }
    rules: [{ mode: onlyonce, target: { nodes: [a] } }]
  u/tick:
    kind: interval
    run: { command: { script: "true" } }
    rules: [{ mode: cycle, timer: "* * * * * *" }]
`;

type Context = { etcd: EtcdServer; fleet: Fleet; cli: Cli };
const shared = {} as Context;
const ran = (t: ExecutionContext, args: string | readonly string[], expected: Expected, options?: RunOptions) =>
  expectRun(t, shared.cli, args, expected, options);
const file = (name: string, text: string | Uint8Array) => {
  const path = join(shared.fleet.folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: ["a", "b"] });
  shared.cli = createCli(shared.fleet.folder, { FLEETCRON_SERVER: shared.fleet.url, FLEETCRON_TOKEN: shared.fleet.token });
  file("jobs.yaml", JOBS);
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
});

test.serial("apply shows, creates, changes, leaves and prunes", async (t) => {
  await ran(t, "apply -f jobs.yaml --dry-run", { code: 0, out: /^\+ t\/yes would be created\n[\s\S]*nothing was written: 5 created\n$/ });
  await ran(t, "job ls -o name", { code: 0, out: /^$/, err: /there are no jobs/ });
  await ran(t, "apply -f jobs.yaml", { code: 0, out: /\+ t\/yes created\n[\s\S]*\(Europe\/Berlin\), in [\s\S]*5 created\n$/ });
  await ran(t, "apply -f jobs.yaml", { code: 0, out: /^= t\/yes unchanged\n[\s\S]*5 unchanged\n$/ });
  file("more/one.json", JSON.stringify({ jobs: { "u/other": { run: { command: { argv: ["true"] } }, rules: [{ mode: "manyonce" }] } } }));
  await ran(t, "apply -f more", { code: 0, out: /\+ u\/other created/ });
  const changed = JOBS.replace("sleep 600", "sleep 500");
  await ran(
    t,
    "apply -f - --prune",
    { code: 0, out: /~ t\/long updated\n[\s\S]*sleep 500[\s\S]*- u\/other deleted\n[\s\S]*1 updated, 1 deleted, 4 unchanged\n$/ },
    { stdin: changed },
  );
  const { out } = await ran(t, "apply -f jobs.yaml -o json", { code: 0 });
  t.deepEqual(
    (JSON.parse(out) as { changes: { action: string }[] }).changes.map((change) => change.action),
    ["unchanged", "unchanged", "updated", "unchanged", "unchanged"],
  );
});

test.serial("a file with anything wrong in it writes nothing, and says every line", async (t) => {
  const before = (await shared.fleet.kv.get(shared.fleet.keys.job("t", "yes")))?.modRevision;
  file(
    "bad.yaml",
    'jobs:\n  t/yes: { run: { command: { script: new } }, rules: [{ mode: manyonce }] }\n  t/bad:\n    knid: alone\n    run: { command: { script: x } }\n    rules:\n      - { mode: cycle, timer: "61 * * * *" }\n  a/b/c: {}\n',
  );
  const { err } = await ran(t, "apply -f bad.yaml", { code: 2, err: /bad\.yaml:4: .*knid.*did you mean "kind"/ });
  t.regex(err, /bad\.yaml:8: .*a\/b\/c.*one slash/);
  t.is((await shared.fleet.kv.get(shared.fleet.keys.job("t", "yes")))?.modRevision, before);
  await ran(t, "apply -f bad.yaml --dry-run", { code: 2 });
  await ran(
    t,
    "apply -f -",
    { code: 2, err: /\(standard input\):1: .*timer/ },
    { stdin: 'jobs: { t/z: { run: { command: { script: x } }, rules: [{ mode: cycle, timer: "61 * * * *" }] } }' },
  );
  const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${"bcdefghij"
    .split("")
    .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${"abcdefghij"[i]}`).join(", ")}]`)
    .join("\n")}\n`;
  await ran(t, "apply -f -", { code: 2, err: /error: / }, { stdin: bomb });
  await ran(t, "apply -f -", { code: 2, err: /^error: the files hold no job/ }, { stdin: "jobs: {}\n" });
  await ran(t, "apply -f none.yaml", { code: 2, err: /none\.yaml cannot be read: there is no such file/ });
  file("huge.yaml", Buffer.alloc(10 * 2 ** 20 + 1, "# x\n"));
  await ran(t, "apply -f huge.yaml", { code: 2, err: /huge\.yaml has more than 10\.0 MiB/ });
  file("latin.yaml", Buffer.from([0x6a, 0x3a, 0x20, 0xe9, 0x0a]));
  await ran(t, "apply -f latin.yaml", { code: 2, err: /latin\.yaml.*UTF-8/ });
});

test.serial("a file just below the limit is read like any other", async (t) => {
  file("large.yaml", `${"# filling\n".repeat(800_000)}${JOBS}`);
  await ran(t, "apply -f large.yaml", { code: 0, out: /5 unchanged\n$/ });
});

test.serial("job ls, show, next and why", async (t) => {
  await ran(t, "job ls", {
    code: 0,
    out: /^JOB +KIND +WHEN +NEXT[\s\S]*\nt\/long +alone +At 00:00[\s\S]*\nu\/tick +interval +Every second \(UTC\)/,
  });
  await ran(t, "job ls --group u -o name", { code: 0, out: /^u\/tick\n$/ });
  await ran(t, "job ls --sort -job --limit 2 -o name", { code: 0, err: /only the first 2/ });
  const { out } = await ran(t, "job ls -o json", { code: 0 });
  t.is((JSON.parse(out) as { items: unknown[] }).items.length, 5);
  const yaml = await ran(t, "-o yaml job show t/yes", { code: 0 });
  t.like(parse(yaml.out), { group: "t", id: "yes", spec: { rules: [{ timezone: "Europe/Berlin" }] } });
  await ran(t, "job show t/yes", { code: 0, out: /^job: +t\/yes\n[\s\S]*r1 +At 00:00.*\(Europe\/Berlin\) +in [\s\S]*spec:\n/ });
  await ran(t, "job show t/yess", { code: 3, err: /there is no job t\/yess\n.*did you mean t\/yes/ });
  await ran(t, "job show t/a/b", { code: 2, err: /"t\/a\/b" is not the name of a job/ });
  const next = await ran(t, "job next t/yes -n 2 --at 2030-06-01T00:00:00Z", {
    code: 0,
    out: /\n {2}2030-12-31T23:00:00\.000Z .*\n {2}2031-12-31T23:00:00\.000Z /,
  });
  t.is(next.out.match(/Europe\/Berlin/g)?.length, 1, "the zone stands there once");
  await ran(t, "job next t/yes --at yesterday", { code: 2, err: /--at "yesterday" is not a time/ });
  await eventually("a tick has its record", async () => (await shared.fleet.records("u/tick")).length > 0);
  await ran(t, "job why u/tick", { code: 0, out: /^(fired|running|claimed|pending)/ });
  await ran(t, "job why t/no 2026-01-01T00:00:00Z", { code: 0, out: /^beforeJob/ });
  await ran(t, "job history u/tick --limit 1 -o name", { code: 0, out: /^\S+-1\n$/ });
});

test.serial("job run --wait ends as the command does", async (t) => {
  await ran(t, "job run t/yes --env WORD=again --wait", { code: 0, out: /^a: +exit:0 in .*\nfine again\nb: +exit:0 in .*\nfine again\n$/ });
  await ran(t, "job run t/yes --node b --wait", { code: 0, out: /^b: +exit:0.*\nfine \n$/ });
  await ran(t, "job run t/no --wait", { code: 1, out: /exit:3 in .*\nbad\n/, err: /t\/no failed on [ab]\n/ });
  await ran(t, "job run t/long --wait --timeout 300ms", { code: 7, err: /not ended after 300ms: \S+ on [ab]/ });
  await ran(t, "job run t/none --wait", { code: 3, err: /there is no job t\/none/ });
  await ran(t, "job run t/yes --node c", { code: 3, err: /there is no node c/ });
  await ran(t, "job run t/yes --timeout 3s", { code: 2, err: /give both/ });
});

test.serial("run ls, show and kill an execution that goes on", async (t) => {
  const { out } = await ran(t, "run ls --job t/long --state running -o name", { code: 0, out: /^\S+\n$/ });
  const id = out.trim();
  await eventually("the process is seen", async () => (await shared.cli("proc ls --job t/long -o name")).out !== "");
  await ran(t, "proc ls --job t/long", { code: 0, out: /^NODE +PID[\s\S]*t\/long/ });
  await ran(t, `run show ${id}`, { code: 0, out: /state: +running/ });
  await ran(t, ["run", "kill", id, "--reason", "the test is over"], { code: 0, out: /is told to end/ });
  await eventually("it has ended", async () => (await shared.cli(["run", "show", id])).out.includes("the test is over"));
  await ran(t, `run show ${id}`, { code: 0, out: /state: +killed[\s\S]*result: +killed.* by .*: the test is over/ });
  await ran(t, `run kill ${id}`, { code: 4, err: / has ended: killed at / });
  await ran(t, "run kill nothing", { code: 3 });
  await ran(t, "run show a/b", { code: 2, err: /is not the id of an execution/ });
});

test.serial("pause, resume, reset and rm", async (t) => {
  await ran(t, "job pause t/yes", { code: 0, out: /t\/yes paused/ });
  await ran(t, "job ls --group t", { code: 0, out: /t\/yes .*paused/ });
  await ran(t, "job next t/yes", { code: 0, out: /^the job is paused/ });
  await ran(t, "job resume t/yes", { code: 0, out: /t\/yes resumed; next in / });
  await ran(t, "job reset t/once", { code: 0, out: /1 node is told to forget its success: a/ });
  await ran(t, "job rm t/no t/once", { code: 0, out: /t\/no deleted\nt\/once deleted\n/ });
  await ran(t, "job rm t/no", { code: 3 });
});
