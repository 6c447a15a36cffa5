/**
 * Etcd out of reach for a minute, compacted meanwhile: `common` jobs go on, `interval` and `alone` hold and then give up tick by tick, and
 * when it is back everything converges without a restart.
 */

import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobKind } from "fleetcron-shared/model/job-spec";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import { prefixRange } from "fleetcron-shared/store/kv";
import { startEtcd } from "../support/etcd.ts";
import { duplicates, evidenceScript, overlaps, readEvidence, withoutRun } from "../support/evidence.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually, startFleet } from "../support/fleet.ts";
import { compact, putMany } from "../support/store-bench.ts";

const AWAY_MS = 60_000;
/** The default of `holdFor`. */
const HOLD_MS = 30_000;

test("etcd away for 60 s", async (t) => {
  t.timeout(240_000);
  await using etcd = await startEtcd();
  await using proxy = await startFaultProxy(etcd.port);
  await using fleet = await startFleet({ etcd: [proxy.endpoint], nodes: ["n1", "n2"] });
  const direct = openEtcdKv({ endpoints: [etcd.endpoint] }, { clock: systemClock });
  const file = fleet.file("evidence");
  const job = (kind: JobKind) => ({
    kind,
    run: { command: { script: evidenceScript(file) } },
    rules: [{ mode: "cycle" as const, timer: "* * * * * *" }],
    retain: { count: 5000 },
    // A slow machine may need more than a second for a run.
    ...(kind === "common" ? { overlap: "allow" as const, parallel: 50 } : {}),
  });
  await fleet.apply({ "t/common": job("common"), "t/int": job("interval"), "t/alone": job("alone") });
  await eventually("the jobs run", async () => new Set(readEvidence(file).map((run) => run.job)).size === 3);
  const fromMs = systemClock.now() + 1000;
  await systemClock.sleep(3000);

  proxy.cut();
  const cutMs = systemClock.now();
  const revision = await putMany(direct, "/other/", 2000, 10);
  await systemClock.sleep(cutMs + AWAY_MS / 2 - systemClock.now());
  await compact(etcd, revision);
  await systemClock.sleep(cutMs + AWAY_MS - systemClock.now());
  proxy.open();
  const backMs = systemClock.now();

  await eventually(
    "both nodes are online and nothing waits",
    async () => {
      const nodes = await fleet.api.nodes({}).catch(() => undefined);
      const online = nodes?.items.filter((node) => node.online).length;
      const inbox = await direct.range({ ...prefixRange(fleet.keys.inbox), countOnly: true });
      return (
        online === 2 && inbox.count < 5 && readEvidence(file).some((run) => run.job === "int" && run.due > new Date(backMs).toISOString())
      );
    },
    10_000,
  );
  const convergedMs = systemClock.now();
  t.log(`converged ${convergedMs - backMs} ms after etcd came back`);
  await eventually("ten more seconds", async () => systemClock.now() > backMs + 12_000);
  const untilMs = systemClock.now() - 3000;
  const records = await eventually("the records of the last ticks are filed", async () => {
    const all = await fleet.records("t/common");
    return all.some((record) => Date.parse(record.dueAt ?? "") > untilMs) && all;
  });

  const runs = readEvidence(file);
  for (const node of ["n1", "n2"]) {
    const own = runs.filter((run) => run.job === "common" && run.node === node);
    const silent = withoutRun(own, "common", 1000, fromMs, untilMs);
    t.deepEqual(
      silent.map((due) => `${due}: ${JSON.stringify(records.find((record) => record.dueAt === due && record.nodeId === node))}`),
      [],
      `common on ${node}`,
    );
    t.deepEqual(duplicates(own), []);
    const recorded = records.filter((record) => record.nodeId === node).map((record) => record.dueAt ?? "");
    t.is(new Set(recorded).size, recorded.length, "each record once");
    t.deepEqual(
      own.map((run) => run.due).filter((due) => Date.parse(due) <= untilMs && !recorded.includes(due)),
      [],
      "each run has its record",
    );
  }

  const cluster = runs.filter((run) => run.job !== "common");
  t.deepEqual(duplicates(cluster), []);
  t.deepEqual(overlaps(cluster.filter((run) => run.job === "alone")), []);
  for (const name of ["int", "alone"]) {
    const verdicts = await fleet.records(`t/${name}`);
    const isolated = new Set(verdicts.filter((record) => isIsolated(record)).map((record) => record.dueAt ?? ""));
    t.is(isolated.size, verdicts.filter(isIsolated).length, `${name}: each isolated tick has one verdict`);
    const missing = withoutRun(runs, name, 1000, fromMs, untilMs);
    t.deepEqual(
      missing.filter((due) => !isolated.has(due)),
      [],
      `${name}: every tick without a run was skipped as isolated`,
    );
    for (const due of missing) {
      t.true(
        Date.parse(due) > cutMs - 3000 && Date.parse(due) < backMs - HOLD_MS + 3000,
        `${name}: ${due} was given up too early or too late`,
      );
    }
    t.true(missing.length > 20, `${name}: ${missing.length} ticks were given up`);
    const held = verdicts.filter(
      (record) => Date.parse(record.dueAt ?? "") > backMs - 20_000 && Date.parse(record.dueAt ?? "") < backMs - 5000,
    );
    t.true(held.length >= 14 && held.every((record) => (record.skewMs ?? 0) > 4000), `${name}: held ticks ran late and say so`);
  }
  await direct.close();
});

function isIsolated(record: ExecutionRecord): boolean {
  return record.outcome.type === "skipped" && record.outcome.reason === "isolated";
}
