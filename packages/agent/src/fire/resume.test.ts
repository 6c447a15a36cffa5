import test from "ava";
import { silentLog } from "fleetcron-shared/base/log";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
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

function setUp() {
  const clock = createManualClock();
  const posted: ExecutionRecord[] = [];
  const errors: string[] = [];
  const journal = { beginExecution() {}, putExecution() {}, removeExecution() {} } as unknown as Journal;
  const executions = new Executions({ journal, bootId: "b", passPoint: () => {} });
  const kv = createMemoryStore({ clock }).connect();
  const deps = {
    ...{ clock, kv, executions, slots: new Slots(1), keys: createKeys(), nodeId: "n", host: { nodeId: "n", hostname: "n" } },
    log: { ...silentLog, error: (_fields: object, message: string) => errors.push(message) },
    session: { trusted: async () => ({ ...(await kv.grantLease(10_000)), epoch: 1 }) },
    procs: { waited() {} },
    outbox: { post: ({ record }: { record: ExecutionRecord }) => posted.push(record) },
    isCurrent: () => false,
    isCurrentJob: () => false,
  } as unknown as OrderDeps;
  return { clock, posted, errors, executions, deps };
}

test("a start that an earlier agent has left is decided on once", async (t) => {
  const { clock, posted, errors, executions, deps } = setUp();
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

test("a retry whose lock went while no agent was there is told of as the attempt that it would have been", async (t) => {
  const { clock, posted, executions, deps } = setUp();
  const execution = executions.restore("01", job, {
    ...{ state: "waiting", origin: { type: "tick", ruleId: "r1", dueMs: clock.now() }, attempt: 1, bootId: "b" },
    ...{ lock: { key: "/fleetcron/locks/g/j", fence: 7 }, fence: 7 },
  });
  resumeWaits(deps, [{ execution, running: undefined }]);
  await clock.advance(5000);
  t.deepEqual(
    posted.map(({ id, outcome }) => [id, outcome.type]),
    [["01-2", "lockLost"]],
  );
});
