import test from "ava";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { CommonGateDeps } from "./common-gate.ts";
import { HeldCommon } from "./held-common.ts";

const at = "2027-01-01T00:00:00.000Z";
const job = compileJob(
  { group: "g", id: "j", revision: 1, createdAt: at, updatedAt: at, submittedAt: at },
  { onIsolation: "hold", holdFor: "1m", run: { command: { argv: ["true"] } }, rules: [{ id: "r1", mode: "cycle", timer: "* * * * *" }] },
);

test("ticks that come due after etcd is back do not join a line that is still worked off", async (t) => {
  const clock = createManualClock();
  const back = Promise.withResolvers<void>();
  let isBack = false;
  // What was let in before runs for a minute, so that the line is not worked off at once.
  const running = { ended: clock.sleep(60_000) };
  const deps = {
    ...{ clock, host: { nodeId: "n", hostname: "n" }, isCurrentJob: () => false },
    session: { current: () => (isBack ? {} : undefined), trusted: () => back.promise },
    executions: { note() {}, unshelve() {}, of: () => [running] },
    outbox: { post: () => clock.sleep(0) },
  } as unknown as CommonGateDeps;
  const held = new HeldCommon({ ...deps, isCurrentJob: () => true, isDraining: () => true } as CommonGateDeps);
  const takes = (execution: string) => held.takes(job, { type: "tick", ruleId: "r1", dueMs: clock.now() }, execution);
  t.true(takes("a"), "etcd is away");
  await clock.advance(10_000);
  t.true(takes("b"), "etcd is away still");
  isBack = true;
  back.resolve();
  await clock.advance(3000);
  t.true(takes("c"), "shortly after");
  await clock.advance(10_000);
  t.is(held.size, 3);
  t.false(takes("d"), "later");
  await clock.advance(100_000);
  t.is(held.size, 0);
});
