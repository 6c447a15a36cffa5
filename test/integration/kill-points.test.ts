/**
 * An agent, a spawner, or both are killed between every two steps of an execution and started again: each tick and each order has one true record, and the command
 * itself says how often it ran.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { AGENT_POINTS, type KillPoint, SPAWNER_POINTS } from "../../packages/agent/src/spawner/kill-points.ts";
import { type AgentBench, startAgentBench, words } from "../support/agent-bench.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive, until } from "../support/processes.ts";
import { spawnersOf } from "../support/spawners.ts";

type Kind = "common" | "interval" | "alone";
type Origin = "tick" | "order";
type Victim = "agent" | "spawner" | "both";
/** What the record must say, and whether the command ran. */
type Truth = readonly [outcome: string, runs: 0 | 1];

const RAN: Truth = ["1 exit:3", 1];
/** The process ran, but who waited for it is dead: nobody claims to know how it ended. */
const UNKNOWN: Truth = ["1 lost:supervisor", 1];
/** The spawner died before it began, and could not say so. */
const NEVER: Truth = ["1 lost:supervisor", 0];

/** A killed agent alone loses nothing: see `truthOf`. */
const SPAWNER_TRUTH: Readonly<Record<(typeof SPAWNER_POINTS)[number], Truth>> = {
  "spawner:taken": RAN,
  "spawner:noted": NEVER,
  "spawner:spawned": UNKNOWN,
  "spawner:logged": UNKNOWN,
  "spawner:reaped": UNKNOWN,
  "spawner:ended": RAN,
};

function truthOf(point: KillPoint, victim: Victim): Truth {
  if (point in SPAWNER_TRUTH) return SPAWNER_TRUTH[point as keyof typeof SPAWNER_TRUTH];
  return victim === "both" && (point === "spawned" || point === "registered") ? UNKNOWN : RAN;
}

let etcd: EtcdServer;
test.before(async () => {
  etcd = await startEtcd();
});
test.after.always(() => etcd?.stop());

/** Lets the execution of a tick or an order meet its point, and brings back what died. */
async function meet(bench: AgentBench, kind: Kind, origin: Origin, victim: Victim, point: KillPoint): Promise<string> {
  const job = `t/${point.replace(":", "-").toLowerCase()}`;
  const node = "n1";
  const agent = bench.agent(node);
  const spawners = join(bench.folder, `data-${node}`, "spawner");
  const agentPid = agent.pid;
  const spawnerPids = spawnersOf(spawners);
  const spec: Partial<JobSpec> = { kind, run: { command: { script: `${bench.script("sleep 1")}\nexit 3` } } };
  writeFileSync(bench.file("kill-at"), point);
  if (origin === "order") await bench.run(node, job, { ...spec, rules: [{ mode: "manyonce" }] });
  else {
    const at = new Date(systemClock.now() + 1500).toISOString();
    await bench.dispatch(node, job, { ...spec, rules: [{ mode: "cycle", timer: `@at ${at}` }] });
  }
  await until(`${point} is passed`, () => !existsSync(bench.file("kill-at")));
  if (victim === "both") for (const pid of [agentPid, ...spawnerPids]) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  if (victim !== "agent") await until("the spawner is gone", () => !spawnerPids.some(isAlive));
  if (victim !== "spawner") {
    await until("the agent is gone", () => !isAlive(agentPid));
    await agent.restart();
  }
  await eventually(`${kind} ${origin}, ${victim} killed at ${point}: it has its record`, async () => (await bench.records(job)).length > 0);
  return job;
}

async function drive(t: ExecutionContext, kind: Kind, origin: Origin, victim: Victim, points: readonly KillPoint[]): Promise<void> {
  t.timeout(280_000);
  await using bench = await startAgentBench({ nodes: [], etcd, prefix: `/${kind}-${origin}-${victim}-${points.length}` });
  const killAt = bench.file("kill-at");
  // The session outlives every restart: a lock that ends with it would be another cause.
  await bench.add("n1", { env: { FLEETCRON_KILL_AT: killAt }, args: ["--session-ttl", "30s"] });
  const jobs = new Map<KillPoint, string>();
  for (const point of points) jobs.set(point, await meet(bench, kind, origin, victim, point));
  await bench.idle();
  for (const [point, job] of jobs) {
    const records = await bench.records(job);
    const [outcome, ran] = truthOf(point, victim);
    t.deepEqual(records.map(words), [outcome], `${point}: one record`);
    const runs = bench.runs().filter((run) => `t/${run.job}` === job);
    t.is(runs.length, ran, `${point}: runs`);
    if (ran === 0) continue;
    t.is(runs[0]?.execution, records[0]?.execution, `${point}: of the same execution`);
    t.true((runs[0]?.endMs ?? Number.POSITIVE_INFINITY) <= Date.parse(records[0]?.endTime ?? ""), `${point}: over when its record says so`);
  }
  t.deepEqual(await bench.procs("n1"), []);
}

for (const [kind, origin] of [
  ["common", "tick"],
  ["common", "order"],
  ["interval", "tick"],
  ["alone", "tick"],
  ["alone", "order"],
] as const)
  test(`agent killed at every point: ${kind}, ${origin}`, (t) => drive(t, kind, origin, "agent", AGENT_POINTS));

for (const [kind, origin] of [
  ["common", "tick"],
  ["alone", "order"],
] as const) {
  test(`spawner killed at every point: ${kind}, ${origin}`, (t) => drive(t, kind, origin, "spawner", SPAWNER_POINTS));
  test(`agent and spawner killed at every point: ${kind}, ${origin}`, (t) =>
    drive(t, kind, origin, "both", [...AGENT_POINTS, ...SPAWNER_POINTS]));
}

test("every point is passed somewhere, once", (t) => {
  const root = join(import.meta.dirname, "../../packages/agent/src");
  const files = ["run/executions.ts", "run/attempt.ts", "run/run-execution.ts", "report/outbox.ts", "spawner/host.ts"];
  const text = files.map((file) => readFileSync(join(root, file), "utf8")).join("\n");
  const passed = [...text.matchAll(/passPoint\("([\w:]+)"\)/g)].map((match) => match[1] ?? "");
  t.deepEqual([...passed].sort(), [...AGENT_POINTS, ...SPAWNER_POINTS].sort());
});
