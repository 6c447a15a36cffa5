/** An etcd that is slow, or out of space, or away while an agent starts again: every tick still gets its true verdict. Found by chaos runs (test/chaos/README.md). */
import { writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { Lock, LockNext } from "fleetcron-shared/model/facts";
import { outcomeWord } from "fleetcron-shared/model/record";
import type { ExecutionTrace } from "../../packages/agent/src/run/execution.ts";
import { startAgentBench, words } from "../support/agent-bench.ts";
import { freePorts } from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive, textOf, until } from "../support/processes.ts";

test("a claim that is under way is no execution: with a slow etcd no tick is skipped for an overlap that was none", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: [] });
  await using proxy = await startFaultProxy(bench.etcd.port);
  await bench.add("n1", { endpoint: proxy.endpoint, args: ["--session-ttl", "10s"] });
  await bench.dispatch("n1", "t/tick", { kind: "interval", rules: [{ mode: "cycle", timer: "* * * * * *" }] });
  await eventually("it runs", async () => bench.runs().length > 0);
  proxy.delay(550);
  await systemClock.sleep(4000);
  proxy.delay(0);
  const fromMs = systemClock.now();
  await eventually("later ticks have run", async () => bench.runs().some((run) => Date.parse(run.due) > fromMs + 2000), 60_000);
  await bench.undispatch("n1", "t/tick");
  await bench.idle();
  const outcomes = (await bench.records("t/tick")).map(({ outcome }) => outcomeWord(outcome));
  t.deepEqual(
    outcomes.filter((word) => word === "skipped:overlap"),
    [],
    outcomes.join(", "),
  );
});

test("etcd stands still for longer than a call may take: what came due behind a claim without an answer is claimed, too, and nothing is left in journals", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: [] });
  const nodes = ["n1", "n2", "n3"];
  for (const node of nodes) await bench.add(node, { args: ["--session-ttl", "10s"] });
  await bench.dispatch(nodes, "t/tick", { kind: "interval", rules: [{ mode: "cycle", timer: "* * * * * *" }] });
  await eventually("it runs", async () => bench.runs().length > 0);
  const fromMs = systemClock.now();
  bench.etcd.pause();
  await systemClock.sleep(3500);
  bench.etcd.resume();
  const untilMs = systemClock.now();
  await eventually("later ticks have run", async () => bench.runs().some((run) => Date.parse(run.due) > untilMs + 2000), 60_000);
  for (const node of nodes) await bench.undispatch(node, "t/tick");
  await bench.idle();
  const told = (await bench.records("t/tick")).map(({ dueAt, outcome }) => `${dueAt} ${outcomeWord(outcome)}`);
  for (let due = Math.ceil(fromMs / 1000) * 1000; due <= untilMs; due += 1000)
    t.is(told.filter((words) => words === `${toIso(due)} exit:0`).length, 1, `${toIso(due)}: ${told.join(", ")}`);
  for (const node of nodes) {
    await bench.agent(node).stop();
    const journal = new DatabaseSync(`${bench.folder}/data-${node}/journal.db`);
    const left = journal
      .prepare("select data from executions")
      .all()
      .map(({ data }) => JSON.parse(String(data)) as ExecutionTrace);
    t.deepEqual(
      left.filter(({ origin }) => (origin.dueMs ?? 0) <= untilMs),
      [],
    );
    journal.close();
  }
});

test("ticks that come all at once, after a stall, are not in each other's way before one of them runs", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: [] });
  await bench.add("n1", { args: ["--session-ttl", "10s"] });
  await bench.dispatch("n1", "t/tick", {
    kind: "interval",
    run: { command: { script: bench.script("sleep 0.3") } },
    rules: [{ mode: "cycle", timer: "* * * * * *" }],
  });
  for (let round = 0; round < 3; round++) {
    // What runs ends while the agent stands still.
    await eventually("it runs", async () => bench.runs().at(-1)?.endMs === undefined && bench.runs().length > 0);
    bench.agent("n1").pause();
    await systemClock.sleep(3500);
    bench.agent("n1").resume();
    const fromMs = systemClock.now();
    await eventually("later ticks have run", async () => bench.runs().some((run) => Date.parse(run.due) > fromMs + 1000));
  }
  await bench.undispatch("n1", "t/tick");
  await bench.idle();
  const outcomes = (await bench.records("t/tick")).map(({ outcome }) => outcomeWord(outcome));
  // What was still in line at the end was called off.
  t.deepEqual(
    outcomes.filter((word) => word !== "exit:0" && word !== "skipped:cancelled"),
    [],
    outcomes.join(", "),
  );
});

test("out of space: what waits for the lock of an alone job goes on waiting, a tick and an order", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: ["n1"] });
  const gate = bench.file("gate");
  const script = bench.script(`until test -e ${gate}; do sleep 0.05; done`);
  const spec = { kind: "alone", overlap: "queue", holdFor: "20s", run: { command: { script } } } as const;
  await bench.dispatch("n1", "t/alone", { ...spec, rules: [{ mode: "cycle", timer: "*/2 * * * * *" }] });
  const next = await eventually("the tick after the one that runs is next in line", () => bench.kv.get(bench.keys.lockNext("t", "alone")));
  const { execution } = JSON.parse(next.value) as LockNext;
  // An order of another job comes when nothing can be written.
  bench.agent("n1").pause();
  const ordered = await bench.run("n1", "t/ordered", { kind: "alone", holdFor: "20s", run: { command: { script: "true" } } });
  await alarm(bench.etcd.endpoint, "ACTIVATE");
  bench.agent("n1").resume();
  await systemClock.sleep(1500);
  await alarm(bench.etcd.endpoint, "DEACTIVATE");
  writeFileSync(gate, "");
  for (const id of [execution, ordered]) {
    const record = await eventually("it has run", async () => (await bench.records()).find((one) => one.execution === id), 20_000);
    t.is(words(record), "1 exit:0");
  }
});

test("a lock that came without an answer is given back when its tick was given up: the job does not stand still until the session ends", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: [] });
  await using proxy = await startFaultProxy(bench.etcd.port);
  const [port] = await freePorts(1);
  await bench.add("n1", { endpoint: proxy.endpoint, args: ["--session-ttl", "60s", "--metrics", `127.0.0.1:${port}`] });
  await bench.dispatch("n1", "t/alone", { kind: "alone", holdFor: "5s", rules: [{ mode: "cycle", timer: "*/2 * * * * *" }] });
  await eventually("it runs", async () => bench.runs().length > 0);
  await eventually("its lock is back", async () => (await bench.kv.get(bench.keys.lock("t", "alone"))) === undefined);
  proxy.blackhole("toClient");
  const cutMs = systemClock.now();
  const { execution } = await eventually("a tick has the lock, without knowing it", async () => {
    const found = await bench.kv.get(bench.keys.lock("t", "alone"));
    const lock = found && (JSON.parse(found.value) as Lock);
    return lock !== undefined && Date.parse(lock.at) > cutMs && lock;
  });
  await eventually("the tick is given up", async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return /^fleetcron_agent_records_total\{[^}]*outcome="skipped"/m.test(metrics);
  });
  // What was swallowed is missing in the streams.
  proxy.drop();
  proxy.open();
  const untilMs = systemClock.now();
  await eventually("later ticks run", async () => bench.runs().some((run) => Date.parse(run.due) > untilMs), 30_000);
  const record = await eventually("it is told of", async () => (await bench.records("t/alone")).find((one) => one.execution === execution));
  t.is(words(record), "1 skipped:isolated");
});

test("an attempt that ended while no agent was there is followed by its retry, however late the next agent learns its jobs", async (t) => {
  t.timeout(120_000);
  await using bench = await startAgentBench({ nodes: [] });
  await using proxy = await startFaultProxy(bench.etcd.port);
  await bench.add("n1", { endpoint: proxy.endpoint, args: ["--session-ttl", "10s"] });
  const gate = bench.file("gate");
  const script = `echo $$ > ${bench.file("pid")}; test $FLEETCRON_ATTEMPT = 2 && exit 0; until test -e ${gate}; do sleep 0.05; done; exit 7`;
  await bench.dispatch("n1", "t/retry", { run: { command: { script } }, rules: [{ mode: "manyonce" }], retry: { limit: 1, delay: "1s" } });
  const pid = await until("it runs", () => Number(textOf(bench.file("pid"))) || undefined);
  await bench.agent("n1").kill();
  writeFileSync(gate, "");
  await until("it has ended", () => !isAlive(pid));
  proxy.delay(300);
  await bench.agent("n1").restart();
  proxy.delay(0);
  const records = await eventually("two attempts", async () => {
    const all = await bench.records("t/retry");
    return all.length === 2 && all;
  });
  t.deepEqual(records.map(words), ["1… exit:7", "2 exit:0"]);
});

async function alarm(endpoint: string, action: "ACTIVATE" | "DEACTIVATE"): Promise<void> {
  const post = async (path: string, body: object) => {
    const answer = await fetch(endpoint + path, { method: "POST", body: JSON.stringify(body) });
    return (await answer.json()) as { header: { member_id: string } };
  };
  const { header } = await post("/v3/maintenance/status", {});
  await post("/v3/maintenance/alarm", { action, memberID: header.member_id, alarm: "NOSPACE" });
}
