/** Agents whose clocks are two seconds apart still run each tick of an `interval` job once: the claim is keyed by the due time. */

import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { startEtcd } from "../support/etcd.ts";
import { duplicates, evidenceScript, overlaps, readEvidence, withoutRun } from "../support/evidence.ts";
import { eventually, startFleet } from "../support/fleet.ts";

/** Debian's libfaketime. The monotonic clock of a host does not move with its wall clock. */
const FAKETIME = { LD_PRELOAD: "/usr/$LIB/faketime/libfaketime.so.1", FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" };

test("clocks two seconds apart: each tick once", async (t) => {
  t.timeout(120_000);
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"] });
  await fleet.addAgent("n2", { env: { ...FAKETIME, FAKETIME: "+2s" } });
  await fleet.addAgent("n3", { env: { ...FAKETIME, FAKETIME: "-2s" } });
  const file = fleet.file("evidence");
  const job = (kind: "interval" | "alone") => ({
    kind,
    run: { command: { script: evidenceScript(file) } },
    rules: [{ mode: "cycle" as const, timer: "* * * * * *" }],
  });
  await fleet.apply({ "t/int": job("interval"), "t/alone": job("alone") });
  await eventually("every node has won a tick", async () => new Set(readEvidence(file).map((run) => run.node)).size === 3, 60_000);
  const fromMs = systemClock.now() + 3000;
  await eventually("twenty seconds of ticks", async () => readEvidence(file).some((run) => Date.parse(run.due) >= fromMs + 20_000), 60_000);
  const runs = readEvidence(file);
  t.deepEqual(duplicates(runs), []);
  t.deepEqual(overlaps(runs.filter((run) => run.job === "alone")), []);
  t.deepEqual(withoutRun(runs, "int", 1000, fromMs, fromMs + 15_000), []);
  const early = runs.filter((run) => run.node === "n2" && run.beginMs < Date.parse(run.due)).length;
  t.true(early > 0, "the fast clock was really fast");
});
