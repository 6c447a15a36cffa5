/** Results from the command to where people look: a real process writes, the agent reads, the leader files and acts, the command line shows. */
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import test from "ava";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { type Cli, createCli, type Expected, expectRun } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";

const shared = {} as { etcd: EtcdServer; fleet: Fleet; cli: Cli };
const job = (script: string, more: Partial<JobSpec> = {}): JobSpec => ({
  kind: "interval",
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const json = (value: object) => `cat > "$FLEETCRON_RESULT" <<'END'\n${JSON.stringify(value, undefined, 1)}\nEND\n`;

test.before(async () => {
  shared.etcd = await startEtcd();
  shared.fleet = await startFleet({ etcd: shared.etcd.endpoints, nodes: ["a"] });
  const { url, token, folder } = shared.fleet;
  // A command that runs as another user must be able to walk to its result.
  chmodSync(folder, 0o755);
  shared.cli = createCli(folder, { FLEETCRON_SERVER: url, FLEETCRON_TOKEN: token });
});
test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.stop();
});

/** Applies the jobs, each of which runs once by that, and waits for so many records of each. */
async function recordsOf<K extends string>(jobs: Record<K, JobSpec>, count = 1): Promise<Record<K, ExecutionRecord[]>> {
  await shared.fleet.apply(jobs);
  const found = {} as Record<K, ExecutionRecord[]>;
  for (const key of Object.keys(jobs) as K[])
    found[key] = await eventually(`${count} records of ${key}`, async () => {
      const all = await shared.fleet.records(key);
      return all.length >= count && all;
    });
  return found;
}
const ran = (t: Parameters<typeof expectRun>[0], args: string | readonly string[], expected: Expected) =>
  expectRun(t, shared.cli, args, expected);
const resultFiles = () => readdirSync(`${shared.fleet.folder}/data-a/exec`).filter((name) => name.endsWith(".result"));

test.serial("what commands hand back is on their records, and no file is left", async (t) => {
  const found = await recordsOf({
    "r/lines": job('echo version=1.2 > "$FLEETCRON_RESULT"; echo url=http://x/?a=b >> "$FLEETCRON_RESULT"; echo said'),
    "r/json": job(json({ outputs: { n: 3 }, message: "three" })),
    "r/stderr": job('echo warning >&2; echo \'{"outputs":{"n":"4"}}\' >&2; echo said; test -z "$FLEETCRON_RESULT"', {
      resultFrom: "stderr",
    }),
    "r/words": job("echo nothing else >&2", { resultFrom: "stderr" }),
    "r/none": job("true"),
    "r/link": job('ln -s /etc/passwd "$FLEETCRON_RESULT"'),
    "r/fifo": job('mkfifo "$FLEETCRON_RESULT"'),
    "r/folder": job('mkdir "$FLEETCRON_RESULT"'),
    "r/half": job('printf \'{"outputs":\' > "$FLEETCRON_RESULT"'),
  });
  t.deepEqual(found["r/lines"][0]?.result, { outputs: { version: "1.2", url: "http://x/?a=b" } });
  t.is(found["r/lines"][0]?.output?.tail, "said\n");
  t.deepEqual(found["r/json"][0]?.result, { outputs: { n: "3" }, message: "three" });
  t.deepEqual(found["r/stderr"][0]?.result, { outputs: { n: "4" }, raw: "warning" });
  t.is(found["r/stderr"][0]?.output?.tail, "said\n", "stderr is not in the log as well");
  t.deepEqual(found["r/words"][0]?.result, { raw: "nothing else" });
  t.is(found["r/none"][0]?.result, undefined);
  for (const key of ["r/link", "r/fifo", "r/folder"] as const)
    t.deepEqual(found[key][0]?.result?.problems, ["there is something else than a plain file where the result should be"], key);
  t.deepEqual(found["r/half"][0]?.result, { raw: '{"outputs":', problems: ["it begins with { but is not valid JSON"] });
  for (const [key, [record]] of Object.entries(found)) t.true(record?.success, `${key} is a success all the same`);
  await eventually("nothing is left", async () => resultFiles().length === 0);
});

test.serial("a result can fail a success, which is tried again, but not mend a failure", async (t) => {
  const failing = job(`${json({ status: "failed", message: "not good" })}test $FLEETCRON_ATTEMPT = 1 || rm "$FLEETCRON_RESULT"`, {
    retry: { limit: 3, delay: "1ms" },
  });
  const found = await recordsOf({ "s/failed": failing }, 2);
  t.deepEqual(
    found["s/failed"].map(({ success, finalAttempt, outcome }) => ({ success, finalAttempt, outcome })),
    [
      { success: false, finalAttempt: false, outcome: { type: "exit", code: 0 } },
      { success: true, finalAttempt: true, outcome: { type: "exit", code: 0 } },
    ],
  );
  const mended = await recordsOf({ "s/mended": job(`${json({ status: "succeeded" })}exit 3`) });
  t.like(mended["s/mended"][0], { success: false, outcome: { type: "exit", code: 3 }, result: { status: "succeeded" } });
});

test.serial("globals, conditions and next jobs happen, a chain of its own making ends, and people see it", async (t) => {
  await recordsOf({
    "n/second": job("echo second", { rules: [{ mode: "manyonce", target: { nodes: ["a"] } }] }),
    "n/loop": job(json({ next: ["n/loop"] })),
  });
  const result = {
    globals: { ADDR: "10.0.0.1" },
    conditions: [{ type: "Init", status: "True", message: "all there" }],
    next: ["n/second", "n/gone"],
  };
  const found = await recordsOf({ "n/first": job(json(result)) });
  const record = found["n/first"][0];
  t.deepEqual(record?.result?.problems, ["next: n/gone is not ordered: there is no such job"]);
  const second = await eventually("the next job has run", async () => {
    const all = await shared.fleet.records("n/second");
    return all.find(({ orderId }) => orderId?.startsWith("next-"));
  });
  t.like(second, { orderId: `next-99-${record?.id}-1`, nodeId: "a", success: true });

  const loop = await eventually(
    "the loop has ended",
    async () => {
      const all = await shared.fleet.records("n/loop");
      return all.some(({ result: last }) => last?.problems !== undefined) && all;
    },
    120_000,
  );
  t.is(loop.length, 101);
  t.regex(loop.at(-1)?.result?.problems?.[0] ?? "", /n\/loop is not ordered: 100 executions have followed one another/);

  await ran(t, `record show ${record?.id}`, {
    code: 0,
    out: /global ADDR: +10\.0\.0\.1\ncondition Init: +True: all there\nnext: +n\/second, n\/gone\nproblem: +next: n\/gone is not ordered/,
  });
  await ran(t, `run show ${record?.execution}`, { code: 0, out: /global ADDR: +10\.0\.0\.1/ });
  await ran(t, "node show a", { code: 0, out: /condition Init: +True, .* by n\/first: all there/ });
  await ran(t, "global ls", { code: 0, out: /^NAME +VALUE +SET +BY\nADDR +10\.0\.0\.1 .* n\/first on a\n$/ });
  await ran(t, ["global", "set", "NOTE", "a b"], { code: 0, out: /^NOTE=a b\n$/ });
  await ran(t, "global ls -o name", { code: 0, out: /^ADDR\nNOTE\n$/ });
  await ran(t, "global rm NOTE", { code: 0, out: /^NOTE removed\n$/ });
  await ran(t, "global rm NOTE", { code: 3, err: /there is no global NOTE/ });
  await ran(t, "global set 9 x", { code: 2, err: /"9" is not the name of a global/ });
});

test.serial("a command of another user hands back a result of its own", async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass("needs root");
    return;
  }
  const command = { script: 'echo "uid=$(id -u)" > "$FLEETCRON_RESULT"', user: "nobody" };
  const found = await recordsOf({ "u/nobody": job("", { run: { command } }) });
  t.regex(found["u/nobody"][0]?.result?.outputs?.uid ?? JSON.stringify(found["u/nobody"][0]), /^[1-9]\d*$/);
  await eventually("nothing is left", async () => resultFiles().length === 0);
});

test.serial("the result of a command that ended while no agent was there is not lost", async (t) => {
  const { fleet } = shared;
  const [started, go] = [fleet.file("started"), fleet.file("go")];
  await fleet.apply({
    "k/outlives": job(`: > ${started}; while ! test -e ${go}; do sleep 0.02; done; ${json({ outputs: { kept: "yes" } })}: > ${go}.done`),
  });
  await eventually("it runs", async () => existsSync(started));
  await fleet.agent("a").kill();
  writeFileSync(go, "");
  await eventually("it has ended", async () => existsSync(`${go}.done`));
  await fleet.agent("a").restart();
  const [record] = await eventually("its record is filed", async () => {
    const all = await fleet.records("k/outlives");
    return all.length > 0 && all;
  });
  t.like(record, { success: true, result: { outputs: { kept: "yes" } } });
  await eventually("nothing is left", async () => resultFiles().length === 0);
});
