/**
 * `alone` with `overlap: queue` or `replace`: one execution in the cluster may stand next in line for the lock (`locks/<group>/<job>/next`).
 * Its tick is claimed with its place in the line. Etcd away: it goes on waiting; its place lives as long as the session.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { isCode } from "fleetcron-shared/base/errors";
import type { Claim, Lock, LockNext } from "fleetcron-shared/model/facts";
import { absent, sameIncarnation } from "fleetcron-shared/store/kv";
import { acquireLock } from "fleetcron-shared/store/lock";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { HeldLock } from "../run/execution.ts";
import type { ActiveExecution } from "../run/executions.ts";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import type { ClusterTick } from "./cluster-tick.ts";
import { postVerdict } from "./verdicts.ts";

const POLL_MS = 100;

/** `lost`: somebody else claimed the tick. `taken`: the place next in line is occupied. `cancelled`: it got its verdict here. */
export type Turn = HeldLock | "lost" | "taken" | "cancelled";

/** Claims the tick together with the place next in line, then waits for the lock. */
export async function takeLockInTurn(deps: ClusterGateDeps, execution: ActiveExecution, tick: ClusterTick): Promise<Turn> {
  const { kv, keys, session } = deps;
  const { job } = tick;
  const claimKey = keys.claim(job.group, job.id, tick.ruleId, tick.dueMs);
  const nextKey = keys.lockNext(job.group, job.id);
  const incarnation = await session.trusted();
  const at = toIso(deps.clock.now());
  const claim: Claim = { v: 1, node: deps.nodeId, execution: execution.id, at };
  const next: LockNext = { v: 1, node: deps.nodeId, execution: execution.id, at, replace: job.overlap === "replace" };
  const result = await kv.txn({
    if: [absent(claimKey), absent(nextKey)],
    then: [
      { op: "put", key: claimKey, value: encode(claim), lease: await deps.leases.leaseFor(job.misfireWindowMs) },
      { op: "put", key: nextKey, value: encode(next), lease: incarnation.lease },
    ],
    else: [{ op: "get", key: claimKey }],
  });
  if (!result.succeeded) {
    const [read] = result.results;
    return read?.op === "get" && read.kv !== undefined ? "lost" : "taken";
  }
  return waitForLock(deps, execution, { nextKey, nextRevision: result.revision });
}

async function waitForLock(
  deps: ClusterGateDeps,
  execution: ActiveExecution,
  place: { nextKey: string; nextRevision: number },
): Promise<Turn> {
  const { kv, keys, session, clock } = deps;
  const { job } = execution;
  const lockKey = keys.lock(job.group, job.id);
  const stop = new AbortController();
  execution.onKill = () => stop.abort();
  while (!stop.signal.aborted && deps.isCurrent(execution)) {
    const incarnation = session.current();
    if (incarnation !== undefined) {
      try {
        const value: Lock = { v: 1, node: deps.nodeId, execution: execution.id, at: toIso(clock.now()) };
        const lock = await acquireLock(kv, { key: lockKey, value: encode(value), lease: incarnation.lease });
        if (lock.acquired) {
          await giveUpPlace(deps, place);
          execution.onKill = undefined;
          return { key: lockKey, fence: lock.fence, epoch: incarnation.epoch };
        }
      } catch (thrown) {
        if (!isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/lease-gone")) throw thrown;
      }
    }
    await clock.sleep(POLL_MS, stop.signal);
  }
  execution.onKill = undefined;
  await giveUpPlace(deps, place);
  postVerdict(deps, job, execution.origin, { type: "skipped", reason: "cancelled" });
  return "cancelled";
}

/** A place that could not be given up vanishes with the session. */
async function giveUpPlace(deps: ClusterGateDeps, place: { nextKey: string; nextRevision: number }): Promise<void> {
  try {
    await deps.kv.txn({ if: [sameIncarnation(place.nextKey, place.nextRevision)], then: [{ op: "delete", key: place.nextKey }] });
  } catch (thrown) {
    deps.log.warn({ key: place.nextKey, error: String(thrown) }, "cannot give up the place next in line");
  }
}

/** While the holder runs: ends it as soon as somebody asks to replace it. The returned function ends the watching. */
export function watchForReplacement(deps: ClusterGateDeps, execution: ActiveExecution): () => void {
  const stop = new AbortController();
  const key = deps.keys.lockNext(execution.job.group, execution.job.id);
  void (async () => {
    while (!stop.signal.aborted) {
      const found = await deps.kv.get(key).catch(() => undefined);
      const next = found === undefined ? undefined : tryDecode<LockNext>(key, found.value);
      if (next?.replace) return execution.kill({ by: "fleetcron", reason: `replaced by execution ${next.execution} on ${next.node}` });
      await deps.clock.sleep(POLL_MS, stop.signal);
    }
  })();
  return () => stop.abort();
}
