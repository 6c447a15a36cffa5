import test from "ava";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import type { Incarnation } from "fleetcron-shared/store/session";
import { type ClaimDeps, claimTick } from "./claim.ts";

test("a claim whose answer was lost came with a lock under the session before: the lock is carried over, not waited for", async (t) => {
  const clock = createManualClock();
  const kv = createMemoryStore({ clock }).connect();
  let incarnation = { lease: (await kv.grantLease(10_000)).lease, epoch: 1 };
  const claims = (await kv.grantLease(60_000)).lease;
  const deps = {
    ...{ kv, clock, nodeId: "n" },
    session: { current: () => incarnation as Incarnation },
    leases: { leaseFor: async () => claims, forget() {} },
  } as unknown as ClaimDeps;
  const request = { claimKey: "/claim", lockKey: "/lock", windowMs: 60_000, dueMs: clock.now(), delaysUntilMs: undefined };
  kv.loseNextAnswer();
  await t.throwsAsync(claimTick(deps, { ...request, execution: "E", look: false }));
  const fence = (await kv.get("/lock"))?.createRevision;
  incarnation = { lease: (await kv.grantLease(10_000)).lease, epoch: 2 };
  const result = await claimTick(deps, { ...request, execution: "E", look: true });
  t.deepEqual(result, { type: "won", fence: fence ?? 0, lock: { key: "/lock", fence: fence ?? 0, epoch: 2 } });
  t.like(await kv.get("/lock"), { lease: incarnation.lease, createRevision: fence });
  const other = await claimTick(deps, { ...request, claimKey: "/claim2", execution: "F", look: false });
  t.is(other.type, "busy");
});
