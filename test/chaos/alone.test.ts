/**
 * An `alone` job whose holder is stopped past its session and then goes on: the agent alone, and the whole host with spawner and command. What two holders have
 * of one another is measured and printed; docs/guarantees.md says what no lease can give.
 */
import { mkdirSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { Lock } from "fleetcron-shared/model/facts";
import { outcomeWord } from "fleetcron-shared/model/record";
import { type AgentBench, startAgentBench } from "../support/agent-bench.ts";
import { eventually } from "../support/fleet.ts";
import { isAlive } from "../support/processes.ts";
import { descendants, spawnersOf } from "../support/spawners.ts";
import { readEvidence, type Witnessed } from "./check/evidence.ts";
import { stop } from "./faults/processes.ts";
import { evidenceCommand } from "./traffic/script.ts";

const JOB = "t/alone";
const ROUNDS = 4;
/** After a thaw: until the watchdog has had its turn, with much to spare for a busy machine. */
const INSTANT_MS = 1000;

test.serial("the agent is stopped past its session: its process is ended before the lock passes on, nothing overlaps", async (t) => {
  t.timeout(180_000);
  const overlaps = await playRounds(t, { freezesHost: false });
  t.log(`agent stopped: overlap of ${overlaps.join(", ")} ms in ${ROUNDS} rounds`);
  t.true(Math.max(...overlaps) === 0);
});

test.serial("the whole host is frozen past its session: it works for an instant after the thaw, no longer", async (t) => {
  t.timeout(180_000);
  const overlaps = await playRounds(t, { freezesHost: true });
  t.log(`host frozen: overlap of ${overlaps.join(", ")} ms in ${ROUNDS} rounds`);
  t.true(Math.max(...overlaps) <= INSTANT_MS);
});

/** Each round freezes who holds the lock until another has it, thaws, and looks at all that must hold then. Returns the overlap of each round in milliseconds. */
async function playRounds(t: ExecutionContext, { freezesHost }: { freezesHost: boolean }): Promise<number[]> {
  await using bench = await startAgentBench({ nodes: ["n1", "n2"] });
  const evidence = bench.file("beats");
  mkdirSync(evidence);
  await bench.dispatch(["n1", "n2"], JOB, { kind: "alone", run: { command: evidenceCommand(evidence, { tenths: 600, beats: true }) } });
  const runs = () => readEvidence(evidence).sort((a, b) => a.beginMs - b.beginMs);
  const key = bench.keys.lock("t", "alone");
  const overlaps: number[] = [];
  let known = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const held = await eventually("somebody is at work", async () =>
      runs().find((run, at) => at >= known && run.lastMs > run.beginMs + 500),
    );
    const processes = processesOf(bench, held.node);
    const thaw = stop(() => [bench.agent(held.node).pid, ...(freezesHost ? processesOf(bench, held.node) : [])]);
    const next = await eventually("another has the lock", async () =>
      runs().find(({ execution, beginMs }) => execution !== held.execution && beginMs > held.beginMs),
    );
    const thawedMs = systemClock.now();
    await thaw();
    t.not(next.node, held.node);
    t.true((next.fence ?? 0) > (held.fence ?? 0), "the fence grows with each holder");
    const record = await eventually("the one before tells how it ended", async () =>
      (await bench.records(JOB)).find(({ execution }) => execution === held.execution),
    );
    t.is(outcomeWord(record.outcome), "lockLost");
    t.is(record.fence, held.fence);
    const lock = await bench.kv.get(key);
    const holder = JSON.parse(lock?.value ?? "{}") as Partial<Lock>;
    t.is(lock?.createRevision, next.fence, "its late writes did not touch the lock of the next");
    t.is(holder.execution, next.execution);
    const own = processes.filter((pid) => !spawnersOf(`${bench.folder}/data-${held.node}/spawner`).includes(pid));
    t.true(own.length > 0 && !own.some(isAlive), "its process is gone before it is told of");
    const last = runs().find(({ execution }) => execution === held.execution) as Witnessed;
    // A frozen process does nothing; what it does after the thaw is beside the next one.
    overlaps.push(Math.max(0, last.lastMs - Math.max(next.beginMs, freezesHost ? thawedMs : 0)));
    const others = runs().filter(
      ({ node, execution, beginMs }) => node === held.node && execution !== held.execution && beginMs > held.beginMs,
    );
    t.true(
      others.every(({ beginMs }) => beginMs >= last.lastMs),
      "it is ended before any other work of it",
    );
    known = runs().findIndex(({ execution }) => execution === next.execution);
  }
  return overlaps;
}

/** The spawner and all that it has started. */
function processesOf(bench: AgentBench, node: string): number[] {
  return spawnersOf(`${bench.folder}/data-${node}/spawner`).flatMap((pid) => [pid, ...descendants(pid)]);
}
