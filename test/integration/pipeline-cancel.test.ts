/** What becomes of orders that a node has not seen when their run is cancelled. Found by chaos runs (test/chaos/README.md). */
import { existsSync } from "node:fs";
import test from "ava";
import { outcomeWord } from "fleetcron-shared/model/record";
import { startEtcd } from "../support/etcd.ts";
import { eventually, startFleet } from "../support/fleet.ts";

test("cancelled before the node has seen its order: it never runs, and the run ends as soon as the node is back", async (t) => {
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1"], sessionTtl: "60s" });
  const witness = fleet.file("ran");
  const spec = { tasks: [{ name: "a", job: { run: { command: { script: `touch ${witness}` } } } }] };
  await fleet.api.apply({ files: [{ name: "p.json", text: JSON.stringify({ pipelines: { "g/p": spec } }) }] });
  // Its session outlives it.
  await fleet.agent("n1").kill();
  const { id } = await fleet.api.runPipeline({ group: "g", id: "p" }, {});
  const state = async () => (await fleet.api.pipelineRun(id)).tasks[0]?.state;
  await eventually("it is ordered", async () => (await state()) === "creating");
  await fleet.api.cancelRun(id, {});
  await eventually("it is to end", async () => (await state()) === "cancelling");
  await fleet.agent("n1").restart();
  await eventually("the run has ended", async () => (await fleet.api.pipelineRun(id)).state === "cancelled", 15_000);
  const records = await fleet.records("g/p.a");
  t.deepEqual(
    records.map(({ outcome, orderId, name }) => [outcomeWord(outcome), orderId?.startsWith(`run:${id}:a:1:`), name]),
    [["skipped:cancelled", true, "p.a"]],
  );
  t.false(existsSync(witness));
});
