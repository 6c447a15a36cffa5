/** An agent and its etcd: sessions that end, answers that are lost, an etcd that comes back empty, a second agent of the same name. */
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { outcomeWord } from "fleetcron-shared/model/record";
import { type KeyValue, prefixRange, type WatchEvent } from "fleetcron-shared/store/kv";
import { type AgentBench, startAgentBench, words } from "../support/agent-bench.ts";
import { duplicates, overlaps } from "../support/evidence.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";
import { textOf } from "../support/processes.ts";

const command = (script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const leaseOf = async (bench: AgentBench, key: string) => (await bench.kv.get(key))?.lease;

test("cut off for longer than its session: presence and processes are back under a new lease, `alone` ended in time and another node took over after it", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n2"], args: ["--proc-threshold", "0ms"] });
  await using link = await startFaultProxy(bench.etcd.port);
  await bench.add("n1", { endpoint: link.endpoint });
  const common = await bench.run("n1", "t/common", command("sleep 60"));
  const spec = { kind: "alone", overlap: "queue" } as const;
  const beat = bench.file("beat");
  const script = `echo "begin alone x n1 $FLEETCRON_EXECUTION $(date +%s%3N)" >> ${bench.file("evidence")}; trap '' TERM; while :; do date +%s%3N > ${beat}.$FLEETCRON_NODE; sleep 0.02; done`;
  const first = await bench.run("n1", "t/alone", { ...spec, run: { command: { script } } });
  await eventually("it runs", async () => bench.runs().length === 1 && (await bench.procs("n1")).length === 2);
  const before = await leaseOf(bench, bench.keys.alive("n1"));
  const second = await bench.run("n2", "t/alone", { ...spec, run: { command: { script } } });
  await eventually("the other waits", async () => (await bench.kv.get(bench.keys.lockNext("t", "alone"))) !== undefined);
  link.cut();
  await eventually("the other node has taken over", async () => bench.runs().length === 2);
  const lastBeat = Number(textOf(`${beat}.n1`));
  const took = bench.runs()[1];
  t.true(lastBeat < (took?.beginMs ?? 0), `the first beat ${lastBeat - (took?.beginMs ?? 0)} ms after the second began`);
  t.is(took?.execution, second);
  link.open();
  await eventually("it is announced under another lease", async () => {
    const lease = await leaseOf(bench, bench.keys.alive("n1"));
    return lease !== undefined && lease !== before;
  });
  const procs = await eventually("its process is shown again", async () => {
    const shown = await bench.procs("n1");
    return shown.length === 1 && shown;
  });
  t.is(procs[0]?.execution, common);
  const ended = await eventually("the record came", async () => (await bench.records()).find((record) => record.execution === first));
  t.is(words(ended), "1 lockLost");
});

test("its lease revoked: a new session at once does not keep alive what ran under the lock of the old one", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n1", "n2"], args: ["--session-ttl", "9s"] });
  const alone = command(bench.script("trap '' TERM; sleep 60 & wait; sleep 60"), { kind: "alone", overlap: "queue" });
  const first = await bench.run("n1", "t/alone", alone);
  await eventually("it runs", async () => bench.runs().length === 1);
  await bench.run("n2", "t/alone", alone);
  await eventually("the other waits", async () => (await bench.kv.get(bench.keys.lockNext("t", "alone"))) !== undefined);
  await bench.kv.revokeLease((await leaseOf(bench, bench.keys.alive("n1"))) ?? "");
  const record = await eventually("it was ended", async () => (await bench.records()).find((each) => each.execution === first));
  t.is(words(record), "1 lockLost");
  await eventually("the other runs", async () => bench.runs().length === 2);
  await eventually("it is online again", async () => (await bench.alive("n1")) !== undefined);
});

test("frozen for longer than its session: its helper ends the alone execution, another node takes over", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: ["n1", "n2"] });
  const alone = command(bench.script("sleep 60"), { kind: "alone", overlap: "queue" });
  const first = await bench.run("n1", "t/alone", alone);
  await eventually("it runs", async () => bench.runs().length === 1);
  await bench.run("n2", "t/alone", command(bench.script(), { kind: "alone", overlap: "queue" }));
  await eventually("the other waits", async () => (await bench.kv.get(bench.keys.lockNext("t", "alone"))) !== undefined);
  bench.agent("n1").pause();
  await eventually("the other node has run", async () => bench.runs()[1]?.endMs !== undefined);
  bench.agent("n1").resume();
  const record = await eventually("its record came", async () => (await bench.records()).find((each) => each.execution === first));
  t.is(words(record), "1 lockLost");
  t.true(Date.parse(record.endTime) <= (bench.runs()[1]?.beginMs ?? 0));
  t.deepEqual(overlaps(bench.runs()), []);
  await bench.idle();
});

test("a proc key appears once the threshold is passed and goes in the transaction that brings the record", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const events: { event: WatchEvent; revision: number }[] = [];
  const stop = bench.kv.watch(
    { ...prefixRange(bench.keys.all), fromRevision: (await bench.kv.range(prefixRange(bench.keys.all))).revision + 1 },
    { onEvents: (batch, revision) => void events.push(...batch.map((event) => ({ event, revision }))), onEnd: () => {} },
  );
  await bench.run("n1", "t/short", command("true"));
  await bench.run("n1", "t/long", command("sleep 1.2"));
  await eventually("both have records", async () => (await bench.records()).length === 2);
  await eventually("the watch has told", async () =>
    events.some(({ event }) => keyOf(event).startsWith(bench.keys.procs) && event.type === "delete"),
  );
  stop();
  const procs = events.filter(({ event }) => keyOf(event).startsWith(bench.keys.procs));
  t.deepEqual(
    procs.map(({ event }) => `${event.type} ${keyOf(event).split("/").at(-2)}`),
    ["put long", "delete long"],
  );
  const record = (await bench.records("t/long"))[0];
  const delivery = events.find(({ event }) => keyOf(event) === bench.keys.inboxRecord("n1", record?.id ?? ""));
  t.is(delivery?.revision, procs[1]?.revision);
});

test("answers lost again and again: each tick runs once and has one record", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: [] });
  await using link = await startFaultProxy(bench.etcd.port);
  await bench.add("n1", { endpoint: link.endpoint });
  const script = { run: { command: { script: bench.script() } } };
  await bench.dispatch("n1", "t/common", script);
  await bench.dispatch("n1", "t/int", { ...script, kind: "interval" });
  await bench.dispatch("n1", "t/alone", { ...script, kind: "alone" });
  await eventually("all run", async () => new Set((await bench.records()).map((record) => record.jobId)).size === 3);
  const fromMs = systemClock.now();
  for (let round = 0; round < 8; round++) {
    // Around a full second: what is written then arrives, its answer does not.
    await systemClock.sleep(1000 - (systemClock.now() % 1000) - 20);
    link.blackhole("toClient");
    await systemClock.sleep(60 + round * 20);
    link.drop();
    link.open();
    await systemClock.sleep(1200);
  }
  const untilMs = systemClock.now();
  await eventually("the last tick has its records", async () =>
    (await Promise.all(["t/common", "t/int", "t/alone"].map((job) => bench.records(job)))).every((records) =>
      records.some((record) => Date.parse(record.dueAt ?? "") > untilMs),
    ),
  );
  t.deepEqual(duplicates(bench.runs()), []);
  for (const job of ["common", "int", "alone"]) {
    const records = await bench.records(`t/${job}`);
    for (let due = Math.ceil(fromMs / 1000) * 1000; due < untilMs; due += 1000) {
      const iso = new Date(due).toISOString();
      const found = records.filter((record) => record.dueAt === iso);
      t.is(found.length, 1, `${job} ${iso}: ${found.map(words).join(", ")}`);
    }
  }
  await bench.idle();
});

test("etcd comes back empty: the agent registers anew, claims get new leases, records arrive", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench();
  const job = { kind: "interval" as const, run: { command: { script: "true" } } };
  await bench.dispatch("n1", "t/int", job);
  await eventually("it runs", async () => (await bench.records()).some((record) => record.success));
  const created = JSON.parse((await bench.kv.get(bench.keys.node("n1")))?.value ?? "{}").createdAt;
  await bench.drain("n1", true);
  const skipped = async () => (await bench.records()).some((record) => outcomeWord(record.outcome) === "skipped:drained");
  await eventually("a verdict has a claim", skipped);
  await bench.etcd.restart({ wipe: true });
  await eventually("it is back", async () => (await bench.alive("n1")) !== undefined);
  const node = await eventually("it is registered", async () => (await bench.kv.get(bench.keys.node("n1")))?.value);
  t.is(JSON.parse(node).createdAt, created);
  // The verdict comes first: no claim of a run has noticed yet that the lease of claims is gone.
  await bench.drain("n1", true);
  await bench.dispatch("n1", "t/int", job);
  await eventually("verdicts are delivered", skipped);
  await bench.drain("n1", false);
  await eventually("it runs again", async () => (await bench.records()).some((record) => record.success));
  const claims = (await bench.kv.range(prefixRange(bench.keys.claims))).kvs;
  t.true(claims.length > 0 && claims.every((claim: KeyValue) => claim.lease !== undefined));
});

test("a second agent of the same id is refused; one that came while the first was cut off wins, and the first ends with a clear text", async (t) => {
  t.timeout(60_000);
  await using bench = await startAgentBench({ nodes: [] });
  await using link = await startFaultProxy(bench.etcd.port);
  const first = await bench.add("n1", { endpoint: link.endpoint, args: ["--data-dir", bench.file("first")] });
  const error: Error = await t.throwsAsync(bench.add("n1", { args: ["--data-dir", bench.file("second")] }));
  t.regex(error.message, /another agent with the node id "n1" is alive/);
  link.blackhole();
  await eventually("its session has ended", async () => (await bench.alive("n1")) === undefined);
  await bench.add("n1", { args: ["--data-dir", bench.file("second")] });
  link.drop();
  link.open();
  t.is(await first.exited, 4);
});

function keyOf(event: WatchEvent): string {
  return event.type === "put" ? event.kv.key : event.key;
}
