import test from "ava";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { createKeys } from "fleetcron-shared/wire/keys";
import { Executions } from "../run/executions.ts";
import type { Journal } from "../run/journal.ts";
import { Slots } from "../run/slots.ts";
import type { OrderDeps } from "./orders.ts";
import { resumeWaits } from "./resume.ts";

const at = "2027-01-01T00:00:00.000Z";
const job = compileJob(
  { group: "g", id: "j", revision: 1, createdAt: at, updatedAt: at, submittedAt: at },
  { run: { command: { argv: ["true"] } }, rules: [{ id: "r1", mode: "cycle", timer: "* * * * *" }] },
);

test("a start that an earlier agent has left is decided on once", async (t) => {
  const clock = createManualClock();
  const posted: ExecutionRecord[] = [];
  const errors: string[] = [];
  const journal = { beginExecution() {}, putExecution() {}, removeExecution() {} } as unknown as Journal;
  const executions = new Executions({ journal, bootId: "b", passPoint: () => {} });
  const slots = new Slots(1);
  const deps = {
    ...{ clock, executions, slots, keys: createKeys(), host: { nodeId: "n", hostname: "n" } },
    log: { ...silentLog, error: (_fields: object, message: string) => errors.push(message) },
    procs: { waited() {} },
    outbox: { post: ({ record }: { record: ExecutionRecord }) => posted.push(record) },
    isCurrent: () => false,
    isCurrentJob: () => false,
  } as unknown as OrderDeps;
  const execution = executions.restore("01", job, {
    ...{ state: "claimed", origin: { type: "tick", ruleId: "r1", dueMs: clock.now() }, attempt: 1, bootId: "b" },
  });
  resumeWaits(deps, [{ execution, running: undefined }]);
  await clock.advance(5000);
  t.deepEqual(
    posted.map(({ outcome }) => outcome.type),
    ["skipped"],
  );
  t.deepEqual(errors, []);
});
