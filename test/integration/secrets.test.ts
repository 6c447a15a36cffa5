/**
 * Secrets from all three sources, on a fleet: the process has the values, and nothing else shows them: etcd, the API, command lines, the daemons' logs,
 * the data folders of the agents, records.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { JobSpec, SecretSource } from "fleetcron-shared/model/job-spec";
import { outcomeWord } from "fleetcron-shared/model/record";
import { prefixRange } from "fleetcron-shared/store/kv";
import { type Cli, createCli, expectRun } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { textOf, until } from "../support/processes.ts";

const VALUES = { FROM_FILE: "fi/le+S3cr?t-öne", FROM_ENV: 'env "S3cret" two', FROM_BOX: "box-S3cret\nthree+lines\nof-it-all" };
const FORMS = Object.values(VALUES).flatMap((value) => [
  ...[value, ...value.split("\n")].flatMap((text) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]),
  ...["base64", "base64url", "hex"].map((form) =>
    Buffer.from(value)
      .toString(form as "hex")
      .slice(0, 20),
  ),
]);

const shared = {} as { etcd: EtcdServer; fleet: Fleet; cli: Cli };

test.before(async () => {
  shared.etcd = await startEtcd();
  const fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: [] });
  shared.fleet = fleet;
  writeFileSync(fleet.file("secret-file"), `${VALUES.FROM_FILE}\n`, { mode: 0o600 });
  await fleet.addAgent("a", { env: { HOST_SECRET: VALUES.FROM_ENV } });
  await fleet.addAgent("b");
  shared.cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
});

const never = (node?: string): JobSpec["rules"] => [
  { mode: "cycle", timer: "@at 2099-01-01T00:00:00Z", ...(node === undefined ? {} : { target: { nodes: [node] } }) },
];
const sources = (): Record<string, SecretSource> => ({
  FROM_FILE: { file: shared.fleet.file("secret-file") },
  FROM_ENV: { env: "HOST_SECRET" },
  FROM_BOX: { secret: "box" },
});

async function records(key: string, count: number) {
  return eventually(`${count} records of ${key}`, async () => {
    const found = await shared.fleet.records(key);
    return found.length >= count && found;
  });
}

/** Whatever can be seen of the fleet, by where it was found. */
async function everything(): Promise<Map<string, string>> {
  const { fleet } = shared;
  const found = new Map<string, string>();
  const { kvs } = await fleet.kv.range(prefixRange("/"));
  for (const { key, value } of kvs) found.set(`etcd ${key}`, `${key} ${value}`);
  const get = async (path: string) => {
    const response = await fetch(`${fleet.url}/api/v1${path}`, { headers: { authorization: `Bearer ${fleet.token}` } });
    const text = await response.text();
    found.set(`GET ${path}`, text);
    return JSON.parse(text) as { items?: { id?: string; group?: string }[] };
  };
  for (const path of ["/info", "/nodes", "/procs", "/secrets", "/openapi.json"]) await get(path);
  for (const { id, group } of (await get("/jobs")).items ?? [])
    for (const more of ["", "/why", "/next"]) await get(`/jobs/${group}/${id}${more}`);
  for (const { id } of (await get("/records")).items ?? []) await get(`/records/${id}`);
  for (const { id } of (await get("/executions")).items ?? []) await get(`/executions/${id}`);
  for (const args of ["secret ls -o json", "secret ls", "job ls -o yaml"])
    found.set(`fleetcron ${args}`, JSON.stringify(await shared.cli(args)));
  found.set("logs of the daemons", fleet.logs());
  for (const path of readdirSync(fleet.folder, { recursive: true, encoding: "utf8" })) {
    if (path !== "secret-file" && statSync(join(fleet.folder, path)).isFile())
      found.set(path, readFileSync(join(fleet.folder, path), "latin1"));
  }
  return found;
}

function leaks(seen: ReadonlyMap<string, string>): string[] {
  return [...seen].flatMap(([where, text]) =>
    FORMS.filter((form) => text.includes(form) || text.includes(Buffer.from(form).toString("latin1"))).map((form) => `${form} in ${where}`),
  );
}

test.serial("values from all three sources reach the process, and nothing else", async (t) => {
  const { fleet, cli } = shared;
  const set = await expectRun(
    t,
    cli,
    "secret set db/box --all",
    { code: 0, out: /^db\/box: encrypted for 2 nodes \(a, b\)\n$/ },
    { stdin: `${VALUES.FROM_BOX}\n` },
  );
  t.false(FORMS.some((form) => (set.out + set.err).includes(form)));
  const script = `
    for name in FROM_FILE FROM_ENV FROM_BOX; do
      eval "value=\\$$name"
      printf %s "$value" | sha256sum | cut -c1-64 > ${fleet.folder}/$name.sum
      echo "plain $value base64 $(printf %s "$value" | base64)"
      printf '%s\\n' "$value" >&2
      echo "out=$value" >> "$FLEETCRON_RESULT"
    done
    touch ${fleet.folder}/printed
    while [ ! -e ${fleet.folder}/go ]; do sleep 0.05; done`;
  await fleet.apply({ "db/all": { run: { command: { script } }, rules: never("a"), secrets: sources() } });
  await fleet.api.runJob({ group: "db", id: "all" }, {});
  await until("it has printed", () => readdirSync(fleet.folder).includes("printed"));
  const lines = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const commandLines = new Map(lines.map((pid) => [`/proc/${pid}/cmdline`, textOf(`/proc/${pid}/cmdline`)]));
  t.true(
    [...commandLines.values()].some((line) => line.includes(`${fleet.folder}/printed`)),
    "the script is among them",
  );
  t.deepEqual(leaks(commandLines), []);
  const running = await everything();
  for (const name of [...running.keys()]) if (/^data-a\/exec\/[^/]*\.(log|result)$/.test(name)) running.delete(name);
  t.deepEqual(leaks(running), [], "while it runs; its own files are its own");
  writeFileSync(fleet.file("go"), "");
  const [record] = await records("db/all", 1);
  t.true(record?.success, JSON.stringify(record));
  for (const [name, value] of Object.entries(VALUES)) {
    t.is(textOf(fleet.file(`${name}.sum`)).trim(), createHash("sha256").update(value).digest("hex"), name);
  }
  t.regex(record?.output?.tail ?? "", /plain \*\*\* base64 \*\*\*/);
  await until("its files are gone", () => readdirSync(`${fleet.folder}/data-a/exec`).length === 0);
  const seen = await everything();
  for (const where of ["etcd /fleetcron/boxes/a/db/box", "GET /secrets", "data-a/journal.db", "data-a/secrets.key"])
    t.true(seen.has(where), where);
  t.deepEqual(leaks(seen), []);
});

test.serial("a node without the secret leaves ticks to others, and says what is missing", async (t) => {
  const { fleet, cli } = shared;
  await expectRun(t, cli, "secret set db/some --node a", { code: 0, out: /1 node \(a\)/ }, { stdin: "only-for-a" });
  const secrets = { S: { secret: "some" } };
  const run = { command: { argv: ["true"] } };
  await fleet.apply({
    "db/tick": { kind: "interval", run, secrets, rules: [{ mode: "cycle", timer: "* * * * * *" }] },
    "db/b": { run, secrets, rules: never("b") },
  });
  t.deepEqual([...new Set((await records("db/tick", 4)).map((record) => `${record.nodeId} ${outcomeWord(record.outcome)}`))], ["a exit:0"]);
  await fleet.api.pauseJob({ group: "db", id: "tick" });
  await fleet.api.runJob({ group: "db", id: "b" }, {});
  const [refused] = await records("db/b", 1);
  t.is(outcomeWord(refused?.outcome ?? { type: "oom" }), "skipped:secrets");
  t.regex(
    JSON.stringify(refused?.outcome),
    /secrets\.S: this node has not been given db\/some; `fleetcron secret set db\/some` encrypts it/,
  );
  await expectRun(t, cli, "secret set db/some --all", { code: 0, out: /2 nodes \(a, b\)/ }, { stdin: "for-all" });
  await fleet.api.runJob({ group: "db", id: "b" }, {});
  t.is(outcomeWord((await records("db/b", 2)).at(-1)?.outcome ?? { type: "oom" }), "exit:0");
});

test.serial("secret ls tells who lacks a secret; a node with a new key has to be given it again; rm takes it away", async (t) => {
  const { fleet, cli } = shared;
  await expectRun(t, cli, "secret ls", { code: 0, out: /^SECRET +FOR +NODES +ODD[^\n]*\ndb\/box +all +2\/2 +-/ });
  await fleet.addAgent("c");
  await expectRun(t, cli, "secret ls", { code: 0, out: /db\/box +all +2\/3 +c \(not set\)/ });
  await expectRun(t, cli, "secret set db/box", { code: 0, out: /3 nodes \(a, b, c\)/ }, { stdin: "another" });
  await expectRun(t, cli, "secret set db/some --node b", { code: 0 }, { stdin: "another" });
  await expectRun(t, cli, "secret ls --group db -o json", { code: 0, out: /"name": "some"/ });
  const some = (await fleet.api.secrets({})).items.find(({ name }) => name === "some");
  t.deepEqual(some?.nodes, [{ node: "b", state: "current" }]);
  await expectRun(t, cli, "secret rm db/some", { code: 0, out: /db\/some removed from all nodes/ });
  await expectRun(t, cli, "secret rm db/boxx", { code: 3, err: /did you mean db\/box\?/ });
  const { kvs } = await fleet.kv.range(prefixRange("/fleetcron/boxes/"));
  t.deepEqual(
    kvs.map(({ key }) => key),
    ["a", "b", "c"].map((node) => `/fleetcron/boxes/${node}/db/box`),
  );
  await fleet.agent("c").stop();
  await eventually("c is offline", async () => !(await fleet.api.node("c")).online);
  await fleet.api.forgetNode("c");
  t.is((await fleet.kv.range(prefixRange("/fleetcron/boxes/c/"))).kvs.length, 0);
});

test.serial("a log that is shown is masked, while it is written and afterwards", async (t) => {
  const { fleet, cli } = shared;
  await expectRun(t, cli, "secret set db/box --all", { code: 0 }, { stdin: VALUES.FROM_BOX });
  const go = fleet.file("go-log");
  const print = 'for i in $(seq 99); do echo "$i $FROM_FILE $FROM_ENV $FROM_BOX"; done';
  const script = `${print}; printf %s "$FROM_BOX" | base64; touch ${go}.printed; while [ ! -e ${go} ]; do sleep 0.05; done; ${print}`;
  await fleet.apply({ "db/log": { run: { command: { script } }, rules: never("a"), secrets: sources(), log: { tailBytes: "64B" } } });
  const { orders } = await fleet.api.runJob({ group: "db", id: "log" }, {});
  const execution = orders[0]?.execution ?? "";
  await until("it has printed", () => readdirSync(fleet.folder).includes("go-log.printed"));
  const live = await expectRun(t, cli, `run logs ${execution}`, { code: 0, out: /^1 \*{17,} \*+ \*+\n/ });
  t.deepEqual(leaks(new Map([["the live log", live.out]])), []);
  const following = cli(`run logs -f ${execution}`);
  await eventually("it is followed", async () => (await fleet.kv.range(prefixRange("/fleetcron/log/"))).kvs.length > 0);
  const chunks = (await fleet.kv.range(prefixRange("/fleetcron/log/"))).kvs;
  t.deepEqual(leaks(new Map(chunks.map(({ key, value }) => [key, value]))), []);
  writeFileSync(go, "");
  const [record] = await records("db/log", 1);
  t.true((record?.output?.cutBytes ?? 0) > 1000);
  const later = await expectRun(t, cli, `run logs ${execution}`, { code: 0 });
  for (const { out } of [await following, later])
    t.is(out.split("\n").filter((line) => /^99 \*{17,}/.test(line)).length, 2, out.slice(0, 500));
  t.deepEqual(
    leaks(
      new Map([
        ["followed", (await following).out],
        ["read later", later.out],
        ["record", JSON.stringify(record)],
      ]),
    ),
    [],
  );
  const exec = `${fleet.folder}/data-a/exec`;
  const onDisk = () => new Map(readdirSync(exec).map((name) => [name, readFileSync(join(exec, name), "latin1")] as const));
  await until("the log on disk is masked", () => onDisk().has(`${execution}-1.log`) && leaks(onDisk()).length === 0);
});

test.serial("wrong uses are refused in words", async (t) => {
  const { cli } = shared;
  await expectRun(t, cli, "secret set password --all", { code: 2, err: /"password" is not the name of a secret/ }, { stdin: "x" });
  await expectRun(t, cli, "secret set db/new", { code: 2, err: /db\/new is new: say which nodes it is for/ }, { stdin: "x" });
  await expectRun(
    t,
    cli,
    "secret set db/new -l role=none",
    { code: 4, err: /none of the 0 nodes that match has a public key/ },
    { stdin: "x" },
  );
  await expectRun(t, cli, "secret set db/new --node zz", { code: 3, err: /there is no node zz/ }, { stdin: "x" });
  await expectRun(t, cli, "secret set db/new --all", { code: 2, err: /is empty/ }, { stdin: "\n" });
  await expectRun(t, cli, "secret set db/new --all", { code: 2, err: /has 40000 bytes; at most 32768/ }, { stdin: "x".repeat(40_000) });
  await expectRun(t, cli, "secret set db/new --all --file none", { code: 2, err: /none cannot be read/ });
  await expectRun(t, cli, "secret set db/short --all", { code: 0, err: /less than 4 characters is not masked/ }, { stdin: "abc" });
  const jobs = (secrets: object) =>
    JSON.stringify({ jobs: { "db/x": { run: { command: { script: "id" } }, rules: [{ mode: "manyonce" }], env: { A: "1" }, secrets } } });
  const wrong = await expectRun(
    t,
    cli,
    "apply -f -",
    { code: 2 },
    { stdin: jobs({ B: "hunter2", C: { value: "hunter2" }, D: {}, E: { fil: "/x" } }) },
  );
  t.false(wrong.err.includes("hunter2"), wrong.err);
  t.regex(wrong.err, /B: the source of a secret is expected, never its value[\s\S]*did you mean "file"/);
  const meaning = await expectRun(
    t,
    cli,
    "apply -f -",
    { code: 2 },
    { stdin: jobs({ A: { env: "X" }, B: { secret: "web/x" }, C: { env: "FLEETCRON_TOKEN" }, D: {} }) },
  );
  for (const words of [
    /A: A is in env too/,
    /may not use a secret of another group/,
    /own settings are not given to jobs/,
    /D: exactly one source is needed/,
  ])
    t.regex(meaning.err, words);
});

test.serial("an execution that outlives its agent, and the old value of its secret, is masked all the same", async (t) => {
  const { fleet, cli } = shared;
  await expectRun(t, cli, "secret set db/box --all", { code: 0 }, { stdin: "the-old-value" });
  const go = fleet.file("go-on");
  const script = `printf %s "$S" > ${fleet.file("had")}; echo "before $S"; while [ ! -e ${go} ]; do sleep 0.05; done; echo "after $S"`;
  await fleet.apply({ "db/long": { run: { command: { script } }, rules: never("a"), secrets: { S: { secret: "box" } } } });
  await fleet.api.runJob({ group: "db", id: "long" }, {});
  await until("it has begun", () => textOf(fleet.file("had")) === "the-old-value");
  await expectRun(t, cli, "secret set db/box", { code: 0 }, { stdin: "the-new-value" });
  await fleet.agent("a").restart();
  writeFileSync(go, "");
  const [record] = await records("db/long", 1);
  t.is(record?.output?.tail, "before ***\nafter ***\n", JSON.stringify(record));
});
