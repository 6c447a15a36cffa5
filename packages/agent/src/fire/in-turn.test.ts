import test from "ava";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { outcomeWord } from "fleetcron-shared/model/record";
import type { CommonGateDeps } from "./common-gate.ts";
import { passInTurn } from "./in-turn.ts";

const at = "2027-01-01T00:00:00.000Z";
const job = compileJob(
  { group: "g", id: "j", revision: 1, createdAt: at, updatedAt: at, submittedAt: at },
  { misfire: "all", misfireWindow: "3m", run: { command: { argv: ["true"] } }, rules: [{ id: "r1", mode: "cycle", timer: "* * * * *" }] },
);

test("a tick whose turn comes after its misfire window is missed", async (t) => {
  const clock = createManualClock();
  const told: string[] = [];
  const running = { ended: Promise.resolve() };
  const deps = {
    ...{ clock, host: { nodeId: "n", hostname: "n" }, isCurrentJob: () => true },
    executions: { of: () => [running], unshelve: (id: string) => told.push(`unshelved ${id}`) },
    outbox: { post: ({ record }: { record: ExecutionRecord }) => told.push(`${record.execution} ${outcomeWord(record.outcome)}`) },
  } as unknown as CommonGateDeps;
  const waiting = ["a", "b", "c"].map((execution) => ({ execution, origin: { type: "tick" as const, ruleId: "r1", dueMs: clock.now() } }));
  const passed = passInTurn(deps, job, waiting, ({ execution }) => {
    told.push(`${execution} runs`);
    running.ended = clock.sleep(execution === "b" ? 200_000 : 1000);
  });
  await clock.advance(300_000);
  await passed;
  t.deepEqual(told, ["a runs", "b runs", "c missed:misfireWindow", "unshelved c"]);
});
