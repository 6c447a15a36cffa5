/**
 * A rolling upgrade under load: one agent after the other is stopped and started as another version, then one is killed and started as a
 * third. No tick is lost and none runs twice; executions go on meanwhile and have their true ends on record. The witness is what the
 * commands themselves wrote.
 */
import { join } from "node:path";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { outcomeWord } from "fleetcron-shared/model/record";
import { startEtcd } from "../support/etcd.ts";
import { duplicates, evidenceScript, overlaps, type Run, readEvidence, withoutRun } from "../support/evidence.ts";
import { eventually, startFleet } from "../support/fleet.ts";
import { agentOfVersion } from "../support/other-version.ts";
import { textOf } from "../support/processes.ts";
import { spawnersOf } from "../support/spawners.ts";

const NODES = ["n1", "n2", "n3"];

/** What runs: how often, how long, and with which exit code it ends. */
type Load = {
  readonly kind: "common" | "interval" | "alone";
  readonly timer: string;
  readonly periodMs: number;
  readonly seconds: number;
  readonly code: number;
};

const LOAD: Readonly<Record<string, Load>> = {
  interval: { kind: "interval", timer: "* * * * * *", periodMs: 1000, seconds: 0, code: 0 },
  alone: { kind: "alone", timer: "* * * * * *", periodMs: 1000, seconds: 0, code: 0 },
  common: { kind: "common", timer: "* * * * * *", periodMs: 1000, seconds: 0, code: 0 },
  "interval-3s": { kind: "interval", timer: "*/5 * * * * *", periodMs: 5000, seconds: 3, code: 3 },
  "interval-8s": { kind: "interval", timer: "*/10 * * * * *", periodMs: 10_000, seconds: 8, code: 8 },
  "alone-8s": { kind: "alone", timer: "*/10 * * * * *", periodMs: 10_000, seconds: 8, code: 9 },
  "common-4s": { kind: "common", timer: "*/5 * * * * *", periodMs: 5000, seconds: 4, code: 4 },
};

function jobOf(load: Load, evidence: string): JobSpec {
  return {
    kind: load.kind,
    run: { command: { script: `${evidenceScript(evidence, load.seconds === 0 ? "" : `sleep ${load.seconds}`)}\nexit ${load.code}` } },
    rules: [{ mode: "cycle", timer: load.timer }],
    success: { exitCodes: [load.code] },
    retain: { count: 5000 },
    // What is due while its agent is away runs afterwards, each in its turn.
    misfire: "all",
    overlap: "queue",
  };
}

test("three agents are upgraded one after the other, and one is killed: no tick is lost or runs twice, and every execution has its true end", async (t) => {
  t.timeout(240_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: NODES, sessionTtl: "10s" });
  const newer = agentOfVersion(fleet.file("newer"), "99.0.0");
  const newest = agentOfVersion(fleet.file("newest"), "99.1.0");
  const evidence = fleet.file("evidence");
  await fleet.apply(Object.fromEntries(Object.entries(LOAD).map(([name, load]) => [`t/${name}`, jobOf(load, evidence)])));
  const runs = () => readEvidence(evidence);
  const isOpenOn = (node: string) => runs().some((run) => run.node === node && run.endMs === undefined);
  await eventually("all jobs run", async () => new Set(runs().map((run) => run.job)).size === Object.keys(LOAD).length);
  const fromMs = systemClock.now() + 1000;

  const upgrade = async (node: string, bin: string, version: string, stop: () => Promise<unknown>) => {
    await eventually(`${node} runs something long`, async () =>
      runs().some((run) => run.node === node && isLong(run) && run.endMs === undefined),
    );
    await stop();
    t.true(isOpenOn(node), `${node} stopped with an execution running`);
    await fleet.addAgent(node, { bin });
    await eventually(`${node} is ${version}`, async () => (await fleet.api.node(node)).version === version);
  };
  for (const node of NODES) await upgrade(node, newer, "99.0.0", async () => t.is(await fleet.agent(node).stop(), 0));
  await upgrade("n2", newest, "99.1.0", () => fleet.agent("n2").kill());
  // A little of the time to come belongs to it: what is due by then is waited for below.
  const untilMs = systemClock.now() + 3000;

  const missing = () => Object.entries(LOAD).flatMap(([name, load]) => missingOf(runs(), name, load, fromMs, untilMs));
  const due = () => runs().filter((run) => Date.parse(run.due) <= untilMs);
  const hasAllRun = async () => missing().length === 0 && due().every(({ endMs }) => endMs !== undefined);
  await eventually("all that was due has run to its end", hasAllRun, 45_000).catch(() => {});
  t.deepEqual(await Promise.all(missing().map(withVerdicts)), [], "ticks without a run");
  t.deepEqual(
    due().filter(({ endMs }) => endMs === undefined),
    [],
    "runs without an end",
  );
  t.deepEqual(duplicates(due().map((run) => (LOAD[run.job]?.kind === "common" ? { ...run, job: `${run.job} on ${run.node}` } : run))), []);
  t.deepEqual(overlaps(due().filter((run) => LOAD[run.job]?.kind === "alone")), []);
  for (const [name, load] of Object.entries(LOAD)) {
    const own = due().filter((run) => run.job === name);
    const untrue = await eventually(`the records of ${name}`, async () => (await untrueRecords(name, load, own)).length === 0, 20_000).then(
      () => [],
      () => untrueRecords(name, load, own),
    );
    t.deepEqual(untrue, []);
  }
  for (const node of NODES) {
    const version = node === "n2" ? "99.1.0" : "99.0.0";
    const commands = () =>
      spawnersOf(join(fleet.folder, `data-${node}`, "spawner")).map((pid) => textOf(`/proc/${pid}/cmdline`).split("\0"));
    await eventually(`only the spawner of ${version} is left on ${node}`, async () => {
      const left = commands();
      return left.length === 1 && left[0]?.includes(version);
    });
  }
  t.log(`${due().length} runs, ${due().filter(isLong).length} of them long`);

  /** What the records say of a tick that did not run. */
  async function withVerdicts(tick: string): Promise<string> {
    const [name = ""] = tick.split(" ");
    const records = await fleet.records(`t/${name}`);
    const about = records.filter((record) => tick.endsWith(record.dueAt ?? "") || (record.dueCount ?? 1) > 1);
    return `${tick}: ${about.map((record) => JSON.stringify(record)).join(" ")}`;
  }

  /** Executions that ran and do not have exactly one record, with the exit code that they ended with. */
  async function untrueRecords(name: string, load: Load, own: readonly Run[]): Promise<string[]> {
    const records = Map.groupBy(await fleet.records(`t/${name}`), (record) => record.execution);
    return own.flatMap(({ execution, node, due: dueAt }) => {
      const found = (records.get(execution) ?? []).map(
        (record) => `${outcomeWord(record.outcome)} ${record.success} ${record.nodeId} ${record.dueAt}`,
      );
      const wanted = `exit:${load.code} true ${node} ${dueAt}`;
      return found.length === 1 && found[0] === wanted
        ? []
        : [`${name} ${execution}: ${found.join(", ") || "no record"} instead of ${wanted}`];
    });
  }
});

function isLong(run: Run): boolean {
  return (LOAD[run.job]?.seconds ?? 0) > 0;
}

/** Due ticks without a run; of a common job on each node. */
function missingOf(runs: readonly Run[], name: string, load: Load, fromMs: number, untilMs: number): string[] {
  if (load.kind !== "common") return withoutRun(runs, name, load.periodMs, fromMs, untilMs).map((due) => `${name} ${due}`);
  return NODES.flatMap((node) => {
    const own = runs.filter((run) => run.node === node);
    return withoutRun(own, name, load.periodMs, fromMs, untilMs).map((due) => `${name} on ${node} ${due}`);
  });
}
