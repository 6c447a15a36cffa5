/** An agent whose data folder is on a full disk: nothing new begins, what runs goes on, no record is lost, also not when the agent is killed. */
import { existsSync, writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { type AgentBench, detailOf, startAgentBench, words } from "../support/agent-bench.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive, textOf, until } from "../support/processes.ts";
import { smallDisk } from "../support/small-disk.ts";
import { spawnersOf } from "../support/spawners.ts";

const MIB = 2 ** 20;
const command = (script: string, more: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  run: { command: { script } },
  rules: [{ mode: "manyonce" }],
  ...more,
});
const recordOf = (bench: AgentBench, execution: string) =>
  eventually(`the record of ${execution}`, async () => (await bench.records()).find((record) => record.execution === execution));

test("a full disk refuses what is new with a verdict, harms nothing that runs, and loses no record", async (t) => {
  t.timeout(120_000);
  using disk = smallDisk(t, 48 * MIB);
  if (disk === undefined) return;
  await using bench = await startAgentBench({ nodes: [] });
  await bench.add("n1", { args: ["--data-dir", disk.path, "--min-free-disk", "8MiB", "--proc-threshold", "0s"] });
  const gate = bench.file("gate");
  const running = await bench.run(
    "n1",
    "t/running",
    command(`echo $$ > ${bench.file("pid")}; until test -e ${gate}; do sleep 0.05; done; exit 7`),
  );
  await until("it runs", () => textOf(bench.file("pid")) !== "");
  disk.fill(0);
  await eventually("new work is refused", async () => {
    const execution = await bench.run("n1", "t/common", command("true"));
    const record = await recordOf(bench, execution);
    if (words(record) !== "1 skipped:diskFull") return false;
    t.regex(detailOf(record), /has 0KiB free, and 8MiB must stay free \(minFreeDisk\)/);
    return true;
  });
  t.is(words(await recordOf(bench, await bench.run("n1", "t/alone", command("true", { kind: "alone" })))), "1 skipped:diskFull");
  await bench.dispatch("n1", "t/interval", { kind: "interval" });
  const tick = await eventually("a tick is skipped", async () => (await bench.records("t/interval"))[0]);
  t.is(words(tick), "1 skipped:diskFull");
  await bench.undispatch("n1", "t/interval");
  t.is(bench.runs().length, 0);

  // The record waits in the journal alone when the agent is killed, and still nothing is free when it starts again.
  await bench.etcd.kill();
  writeFileSync(gate, "");
  const path = `${disk.path}/exec/${running}-1.log`;
  await until("its files are gone", () => !existsSync(path));
  t.is(disk.freeBytes() < 64 * 1024, true, `${disk.freeBytes()}`);
  await bench.agent("n1").kill();
  await bench.etcd.restart();
  await bench.agent("n1").restart();
  t.is(words(await recordOf(bench, running)), "1 exit:7");

  disk.empty();
  await eventually(
    "there is room again",
    async () => words(await recordOf(bench, await bench.run("n1", "t/common", command("true")))) === "1 exit:0",
  );
});

test("records of executions that end on a full disk reach etcd, with what they had written before", async (t) => {
  t.timeout(120_000);
  using disk = smallDisk(t, 64 * MIB);
  if (disk === undefined) return;
  await using bench = await startAgentBench({ nodes: [] });
  await bench.add("n1", { args: ["--data-dir", disk.path, "--min-free-disk", "8MiB", "--capacity", "100"] });
  const gate = bench.file("gate");
  const script = `echo before; until test -e ${gate}; do sleep 0.1; done; echo after || true; exit 0`;
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => bench.run("n1", `t/j${i}`, command(script))));
  await until("all run", () => all.every((id) => textOf(`${disk.path}/exec/${id}-1.log`) === "before\n"));
  disk.fill(0);
  writeFileSync(gate, "");
  for (const id of all) {
    const record = await recordOf(bench, id);
    t.is(words(record), "1 exit:0");
    t.regex(record.output?.tail ?? "", /^before\n/);
  }
  t.notRegex(bench.agent("n1").log(), /"level":(50|60)/);
});

test("what ends on a full disk while no agent is there is told truly by the next one", async (t) => {
  t.timeout(120_000);
  using disk = smallDisk(t, 48 * MIB);
  if (disk === undefined) return;
  await using bench = await startAgentBench({ nodes: [] });
  await bench.add("n1", { args: ["--data-dir", disk.path, "--min-free-disk", "8MiB", "--capacity", "100"] });
  const gate = bench.file("gate");
  const script = `echo $$ >> ${bench.file("pids")}; until test -e ${gate}; do sleep 0.1; done; exit 7`;
  // Their ends take more than what is left of the last block.
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => bench.run("n1", `t/j${i}`, command(script))));
  const pids = await until("all run", () => {
    const lines = textOf(bench.file("pids")).trim().split("\n").map(Number);
    return lines.length === all.length && lines;
  });
  disk.fill(0);
  await bench.agent("n1").kill();
  writeFileSync(gate, "");
  await until("all have ended", () => !pids.some(isAlive));
  // A spawner that is of no more use goes after five seconds.
  const spawners = spawnersOf(`${disk.path}/spawner`);
  t.is(spawners.length, 1);
  await systemClock.sleep(7000);
  t.true(spawners.every(isAlive), "it stays: nobody else knows");
  disk.empty();
  await bench.agent("n1").restart();
  for (const id of all) t.is(words(await recordOf(bench, id)), "1 exit:7");
});
