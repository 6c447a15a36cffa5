/**
 * etcd is restored from a backup: revisions go back, and what has been written since is gone, claims and records too. The fleet goes on by what etcd holds now;
 * what agents remember themselves keeps them from running anything twice (docs/operations.md).
 */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import test from "ava";
import { systemClock, toIso } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { startEtcd } from "../support/etcd.ts";
import { eventually, startFleet } from "../support/fleet.ts";
import { readEvidence, type Witnessed } from "./check/evidence.ts";
import { evidenceCommand } from "./traffic/script.ts";

const CONVERGE_MS = 15_000;
/** Around the moments in which etcd was away: a claim that is gone may be made again by a node that had not heard of it. */
const AROUND_MS = 3000;
const NODES = ["n1", "n2", "n3"];
/** Ticks, after all has converged, each of which is to run and be told of once. */
const STEADY = [0, 1, 2, 3, 4, 5];

test.serial("etcd restored from a backup: all converges without a restart, nothing runs twice, no tick is silent", async (t) => {
  t.timeout(180_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({
    etcd: etcd.endpoints,
    nodes: NODES,
    lostAfter: "10s",
    masterArgs: ["--missed-after", "5s", "--session-ttl", "5s"],
  });
  const evidence = fleet.file("evidence");
  mkdirSync(evidence);
  const job = (kind: "common" | "interval" | "alone", more: Partial<Omit<JobSpec, "kind">> = {}): JobSpec => ({
    ...{ kind, run: { command: evidenceCommand(evidence, { tenths: 1 }) }, misfireWindow: "1m" },
    rules: [{ id: "r1", mode: "cycle", timer: "* * * * * *" }],
    ...more,
  });
  const EACH = { "t/common": job("common"), "t/interval": job("interval"), "t/alone": job("alone") };
  const runs = (key: string) => readEvidence(evidence).filter((run) => run.job === key);
  const runsAgain = (key: string, sinceMs: number) =>
    eventually(`${key} runs`, async () => runs(key).some(({ beginMs }) => beginMs > sinceMs), CONVERGE_MS);

  const seldom: Partial<JobSpec> = { rules: [{ id: "r1", mode: "cycle", timer: "@yearly" }] };
  await fleet.apply({
    ...EACH,
    // Its lock is held at nearly any time.
    "t/busy": job("alone", { run: { command: evidenceCommand(evidence, { tenths: 19, beats: true }) } }),
    "t/edited": job("interval", { description: "before" }),
    "t/deleted": job("interval"),
    "t/seldom": job("interval", seldom),
  });
  for (const key of [...Object.keys(EACH), "t/busy", "t/edited", "t/deleted"]) await runsAgain(key, 0);
  const backup = fleet.file("backup");
  const outages: { fromMs: number; untilMs: number }[] = [];
  const whileAway = async (act: () => void) => {
    const fromMs = systemClock.now();
    await etcd.kill();
    act();
    await etcd.restart();
    const untilMs = systemClock.now();
    outages.push({ fromMs, untilMs });
    return untilMs;
  };
  const backedUpMs = await whileAway(() => cpSync(etcd.dataDir, backup, { recursive: true }));

  await runsAgain("t/interval", backedUpMs + 5000);
  // It leads anew, by a key that the backup does not have.
  await fleet.masters[0]?.restart();
  await fleet.apply({ "t/edited": job("interval", { pause: true }), "t/seldom": job("interval"), "t/added": job("interval") });
  await fleet.api.deleteJob({ group: "t", id: "deleted" });
  await runsAgain("t/added", backedUpMs + 8000);
  const restoredMs = await whileAway(() => {
    rmSync(etcd.dataDir, { recursive: true });
    cpSync(backup, etcd.dataDir, { recursive: true });
  });

  // By what etcd holds now: the edit never was, what was added is not there, what was deleted is.
  for (const key of [...Object.keys(EACH), "t/busy", "t/edited", "t/deleted"]) await runsAgain(key, restoredMs + 1000);
  await eventually(
    "what was added after the backup runs no more",
    async () => {
      const last = runs("t/added").at(-1)?.beginMs ?? 0;
      return systemClock.now() - last > 3000;
    },
    CONVERGE_MS,
  );
  for (const id of NODES)
    await eventually(`${id} is there`, async () => (await fleet.kv.get(fleet.keys.alive(id))) !== undefined, CONVERGE_MS);
  await eventually("a master leads", async () => (await fleet.api.info()).leader !== null, CONVERGE_MS);
  const steadyMs = Math.ceil(systemClock.now() / 1000 + 1) * 1000;
  for (const key of Object.keys(EACH)) {
    const expected = STEADY.flatMap((second) =>
      (key === "t/common" ? NODES : ["*"]).map((node) => `${toIso(steadyMs + second * 1000)} ${node} true`),
    );
    const told = async () =>
      (await fleet.records(key))
        .map(({ dueAt, nodeId, success }) => `${dueAt} ${key === "t/common" ? nodeId : "*"} ${success}`)
        .filter((words) => words >= toIso(steadyMs) && words < toIso(steadyMs + STEADY.length * 1000));
    await eventually(`${key}: all is told`, async () => (await told()).length >= expected.length);
    t.deepEqual((await told()).sort(), expected.sort(), key);
  }

  const untrue = (await fleet.records("t/seldom")).filter(
    ({ dueAt = "", outcome }) => dueAt > toIso(restoredMs) && outcome.type === "missed",
  );
  t.deepEqual(untrue, [], "nothing is missed of a form that never was");

  const all = readEvidence(evidence);
  const isNearOutage = ({ dueMs = 0 }: Witnessed) =>
    outages.some(({ fromMs, untilMs: backMs }) => dueMs > fromMs - AROUND_MS && dueMs < backMs + AROUND_MS);
  const twice = (of: (run: Witnessed) => string, among: readonly Witnessed[]) =>
    [...Map.groupBy(among, of)].filter(([, same]) => same.length > 1).map(([tick]) => tick);
  t.deepEqual(
    twice(({ job: key, dueMs, node }) => `${key} ${dueMs} ${node}`, all),
    [],
    "a node never runs a tick twice",
  );
  t.deepEqual(
    twice(
      ({ job: key, dueMs }) => `${key} ${dueMs}`,
      all.filter((run) => run.job !== "t/common" && !isNearOutage(run)),
    ),
    [],
    "nor do two nodes",
  );
});
