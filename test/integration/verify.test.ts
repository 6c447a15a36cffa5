/** `fleetcron verify` on a real fleet: clean as long as nothing is wrong; what is planted in etcd it finds, by name, with exit code 1. */
import type { ExecutionContext } from "ava";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { type Cli, createCli, type Expected, expectRun } from "../support/cli-process.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";

type Context = { etcd: EtcdServer; fleet: Fleet; cli: Cli; sinceMs: number };
const shared = {} as Context;
const ran = (t: ExecutionContext, args: string, expected: Expected) => expectRun(t, shared.cli, args, expected);

const job = (kind: "common" | "interval" | "alone", timer: string, more: Partial<JobSpec> = {}): JobSpec => ({
  ...{ kind, holdFor: "1s", retain: { count: 5000 } },
  run: { command: { script: "true" } },
  rules: [{ mode: "cycle", timer }],
  ...more,
});

/** A tick that is older than this is judged: grace, hold and a moment for the auditor. */
const JUDGED_MS = 15_000;
const TICKS = 12;

test.before(async (t) => {
  t.timeout(180_000);
  shared.etcd = await startEtcd();
  shared.fleet = await startFleet({
    etcd: shared.etcd.endpoints,
    nodes: ["n1", "n2"],
    lostAfter: "5s",
    masterArgs: ["--history", "off", "--missed-after", "2s"],
  });
  const { fleet } = shared;
  shared.cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  await fleet.apply({
    "t/int": job("interval", "* * * * * *"),
    "t/alone": job("alone", "*/2 * * * * *"),
    "t/com": job("common", "* * * * * *"),
    "t/few": job("interval", "* * * * * *", { retain: { count: 5 } }),
    "t/slow": job("alone", "* * * * * *", { run: { command: { script: "sleep 6" } } }),
    "t/off": job("interval", "* * * * * *", { pause: true }),
    "u/once": job("common", "", { rules: [{ mode: "onlyonce" }] }),
  });
  shared.sinceMs = systemClock.now();
  await eventually("enough ticks can be judged", async () => (await judged("t/int")).length >= TICKS, 120_000);
});

test.after.always(async () => {
  await shared.fleet?.[Symbol.asyncDispose]();
  await shared.etcd?.[Symbol.asyncDispose]();
});

/** Records of ticks that are judged by now. */
async function judged(name: string): Promise<ExecutionRecord[]> {
  const records = await shared.fleet.records(name);
  const dueMs = ({ dueAt }: ExecutionRecord) => Date.parse(dueAt ?? "");
  return records.filter((record) => dueMs(record) > shared.sinceMs + 6000 && dueMs(record) < systemClock.now() - JUDGED_MS);
}

async function put(record: ExecutionRecord): Promise<void> {
  const { kv, keys } = shared.fleet;
  await kv.txn({ then: [{ op: "put", key: keys.record(record.jobGroup, record.jobId, record.id), value: JSON.stringify(record) }] });
}

async function remove(record: ExecutionRecord): Promise<void> {
  const { kv, keys } = shared.fleet;
  await kv.txn({ then: [{ op: "delete", key: keys.record(record.jobGroup, record.jobId, record.id) }] });
}

const moved = (iso: string | undefined, ms: number) => new Date(Date.parse(iso ?? "") + ms).toISOString();

test.serial("a fleet without a fault is clean", async (t) => {
  const { out } = await ran(t, "verify --since 10m", { code: 0, out: /Nothing is wrong\.\n$/ });
  t.log(out);
  t.regex(out, /7 jobs:\n {2}\d+ ticks due: \d+ ran/);
  t.regex(out, /t\/int: created \S+ \(judged from \S+ on\)/);
  t.regex(out, /t\/off: created \S+; paused: nothing is due/);
  const json = await ran(t, "verify --since 10m --job t/com -o json", { code: 0 });
  const { findings, summary, jobs } = JSON.parse(json.out);
  t.deepEqual([findings, jobs, summary.silent], [[], 1, 0]);
  t.true(summary.ran >= 2 * (TICKS - 2), "on both nodes");
  const slow = await ran(t, "verify --since 10m --job t/slow -o json", { code: 0 });
  const { summary: fates } = JSON.parse(slow.out);
  t.true(fates.pending >= 1, "one runs, and has no record yet");
  t.true(fates.skipped.overlap >= 3);
  await ran(t, "verify --group u", { code: 0, out: /1 job:/ });
});

test.serial("what retention has deleted is not judged, and that is said", async (t) => {
  const records = await shared.fleet.records("t/few");
  const gone = records.slice(0, records.length - 10);
  t.true(gone.length >= 5);
  for (const record of gone) await remove(record);
  const { out } = await ran(t, "verify --since 10m --job t/few", { code: 0, out: /Nothing is wrong/ });
  t.regex(out, /keeps 5 records \(`retain`\): those of ticks before \S+ may be gone/);
});

test.serial("what etcd holds no more is judged by the history", async (t) => {
  const { fleet, etcd } = shared;
  await using other = await startFleet({ etcd: etcd.endpoints, nodes: [] });
  const cli = createCli(other.folder, { FLEETCRON_SERVER: other.url, FLEETCRON_TOKEN: fleet.token });
  const gone = (await judged("t/com")).slice(0, 6);
  const [first] = gone;
  await eventually("its history has taken over what etcd holds", async () => {
    const { code, out } = await cli("record ls --job t/com --limit 2000 -o name");
    return code === 0 && out.includes(first?.id ?? "none");
  });
  for (const record of gone) await remove(record);
  await expectRun(t, cli, "verify --since 10m --job t/com", { code: 0, out: /Nothing is wrong/ });
  await ran(t, "verify --since 10m --job t/com", { code: 1, out: /silent/ });
  for (const record of gone) await put(record);
  await ran(t, "verify --since 10m --job t/com", { code: 0 });
});

test.serial("planted faults are found, each at its tick, and nothing else is", async (t) => {
  const ticks = await judged("t/int");
  const [dropped, , doubled, , late] = ticks;
  const [long] = await judged("t/alone");
  const [silent] = await judged("t/com");
  if (!dropped || !doubled || !late || !long || !silent) return t.fail("too few records");
  await remove(dropped);
  const execution = `${doubled.execution.slice(0, -4)}TW1N`;
  await put({ ...doubled, execution, id: `${execution}-1` });
  await put({ ...late, beginTime: moved(late.beginTime, 90_000), endTime: moved(late.endTime, 90_000) });
  await put({ ...long, endTime: moved(long.endTime, 3900) });
  await remove(silent);

  const { out } = await ran(t, "verify --since 10m -o json", { code: 1 });
  const { findings, more, summary } = JSON.parse(out) as { findings: Found[]; more: number; summary: { findings: object } };
  type Found = { kind: string; job: string; dueAt: string; node?: string; text: string };
  const told = findings.map(({ kind, job: name, dueAt }) => `${kind} ${name} ${dueAt}`);
  t.deepEqual(told, [
    `overlap t/alone ${moved(long.dueAt, 2000)}`,
    `silent t/com ${silent.dueAt}`,
    `silent t/int ${dropped.dueAt}`,
    `duplicate t/int ${doubled.dueAt}`,
    `late t/int ${late.dueAt}`,
  ]);
  t.is(more, 0);
  t.deepEqual(summary.findings, { overlap: 1, silent: 2, duplicate: 1, late: 1 });
  t.is(findings[1]?.node, silent.nodeId);

  const text = await ran(t, "verify --since 10m", { code: 1, out: /5 findings\.\n$/ });
  t.log(text.out);
  t.regex(text.out, new RegExp(`duplicate {2}t/int: the tick of ${doubled.dueAt} \\(rule r1\\) ran once more: execution \\S+ on n\\d`));
  t.regex(text.out, /late 1, duplicates 1, overlaps 1/);
  await ran(t, "verify --since 10m --limit 1", { code: 1, out: /and 4 more findings/ });
  await ran(t, `verify --since ${moved(late.dueAt, 1)} --group t`, { code: 0 });
  await ran(t, "verify --since 10m --job t/off", { code: 0 });
});

test.serial("wrong inputs say what is wrong, and what to do", async (t) => {
  await ran(t, "verify --since 2100-01-01T00:00:00Z", { code: 2, err: /since 2100-01-01T00:00:00.000Z lies in the future/ });
  await ran(t, "verify --since yesterday", { code: 2, err: /--since "yesterday" is not a time/ });
  await ran(t, "verify --since 1h --until 2h", { code: 2, err: /is not before until/ });
  await ran(t, "verify --since 4000h", { code: 2, err: /more than 92 days.*\n.*at a time/s });
  await ran(t, "verify --job t/in", { code: 3, err: /there is no job t\/in\b.*\n.*did you mean t\/int\?/s });
  await ran(t, "verify --job a/b/c", { code: 2, err: /"a\/b\/c" is not the name of a job/ });
  await ran(t, "verify --group tt", { code: 3, err: /there is no job in group tt/ });
  await ran(t, "verify --late-after soon", { code: 2, err: /lateAfter "soon" is not a duration/ });
});

test.serial("whoever is limited to a group sees nothing of others", async (t) => {
  const { fleet } = shared;
  const { token } = await fleet.api.createToken({ name: "of-u", role: "viewer", groups: ["u"] });
  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: token });
  await expectRun(t, cli, "verify --since 10m", { code: 0, out: /1 job:/ });
  await expectRun(t, cli, "verify --since 10m --job t/int", { code: 3, err: /there is no job t\/int/ });
});

test.serial("ticks that a dead node has missed are told together", async (t) => {
  const { fleet, cli } = shared;
  await fleet.agent("n1").kill();
  const missed = await eventually(
    "a streak of missed ticks",
    async () => {
      const { out } = await cli("verify --since 10m --job t/com -o json");
      const { findings } = JSON.parse(out) as { findings: { kind: string; node: string; ticks?: number; text: string }[] };
      return findings.find(({ kind, ticks = 1 }) => kind === "missed" && ticks > 2);
    },
    90_000,
  );
  t.is(missed.node, "n1");
  t.regex(missed.text, /^t\/com: \d+ ticks in a row, from \S+ to \S+ \(rule r1, node n1\): missed:nodeOffline$/);
  await ran(t, "verify --since 10m --job t/com", { code: 1, out: /\d+ missed \(.*\d+ nodeOffline/ });
});
