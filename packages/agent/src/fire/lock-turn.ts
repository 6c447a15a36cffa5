/**
 * Waiting for the lock of an `alone` job (`overlap: queue` or `replace`): one execution in the cluster may stand next in line
 * (`locks/<group>/<job>/next`). A tick is claimed together with its place in the line. Etcd away: it goes on waiting; its place lives as long as
 * the session and is taken again under the next one.
 */
import { toIso } from "fleetcron-shared/base/clock";
import type { Claim, Lock, LockNext } from "fleetcron-shared/model/facts";
import { absent, type Compare, type KeyValue, type Op, sameIncarnation } from "fleetcron-shared/store/kv";
import { acquireLock } from "fleetcron-shared/store/lock";
import type { Incarnation } from "fleetcron-shared/store/session";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { HeldLock } from "../run/execution.ts";
import type { ActiveExecution } from "../run/executions.ts";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import type { ClusterTick } from "./cluster-tick.ts";
import { isNotNow } from "./not-now.ts";

const POLL_MS = 100;

/** The place next in line; `revision` names its incarnation. */
export type Place = { readonly key: string; readonly value: string; readonly revision: number; readonly epoch: number };

/**
 * Takes the place next in line, for a tick together with its claim. `lost`: somebody else claimed the tick. `taken`: the place is occupied.
 * Throws when etcd is away; asking again with the same execution finds what an earlier try has written.
 */
export async function takePlace(
  deps: ClusterGateDeps,
  execution: ActiveExecution,
  tick: ClusterTick | undefined,
): Promise<Place | "lost" | "taken"> {
  const { kv, keys } = deps;
  const { job, id } = execution;
  const incarnation = await deps.session.trusted();
  const at = toIso(deps.clock.now());
  const next: LockNext = { v: 1, node: deps.nodeId, execution: id, at, replace: job.overlap === "replace" };
  const place = { key: keys.lockNext(job.group, job.id), value: encode(next), epoch: incarnation.epoch };
  const conditions: Compare[] = [absent(place.key)];
  const puts: Op[] = [{ op: "put", key: place.key, value: place.value, lease: incarnation.lease }];
  if (tick !== undefined) {
    const key = keys.claim(job.group, job.id, tick.ruleId, tick.dueMs);
    const claimed = await kv.get(key);
    if (claimed !== undefined && tryDecode<Claim>(key, claimed.value)?.execution !== id) return "lost";
    const claim: Claim = { v: 1, node: deps.nodeId, execution: id, at };
    conditions.push(claimed === undefined ? absent(key) : sameIncarnation(key, claimed.createRevision));
    if (claimed === undefined) puts.push({ op: "put", key, value: encode(claim), lease: await deps.leases.leaseFor(job.misfireWindowMs) });
  }
  const result = await kv.txn({ if: conditions, then: puts, else: [{ op: "get", key: place.key }] });
  if (result.succeeded) return { ...place, revision: result.revision };
  const [read] = result.results;
  const occupied = read?.op === "get" ? read.kv : undefined;
  if (occupied === undefined) return "lost";
  return isOurs(occupied, id, incarnation) ? { ...place, revision: occupied.createRevision } : "taken";
}

/** Waits for the lock, with the place in the line; undefined when the execution was ended or its job changed meanwhile. */
export async function waitForLock(deps: ClusterGateDeps, execution: ActiveExecution, taken: Place): Promise<HeldLock | undefined> {
  const { kv, keys, session, clock } = deps;
  const key = keys.lock(execution.job.group, execution.job.id);
  const lock: Lock = { v: 1, node: deps.nodeId, execution: execution.id, at: toIso(clock.now()) };
  const value = encode(lock);
  let place: Place | undefined = taken;
  const stop = execution.untilUnwanted(deps.isCurrent);
  while (!stop.signal.aborted) {
    const incarnation = session.current();
    try {
      if (incarnation !== undefined) {
        if (place?.epoch !== incarnation.epoch) place = await placeAgain(deps, execution, taken, incarnation);
        const own = place;
        const and = own && { if: [sameIncarnation(own.key, own.revision)], then: [{ op: "delete", key: own.key } as const] };
        const result = await acquireLock(kv, { key, value, lease: incarnation.lease, ...(and === undefined ? {} : { and }) });
        if (result.acquired) {
          stop.done();
          return { key, fence: result.fence, epoch: incarnation.epoch };
        }
        if (result.holder === undefined) place = undefined;
      }
    } catch (thrown) {
      if (!isNotNow(thrown)) throw thrown;
      deps.leftovers.missed(thrown, execution.id, execution.job);
    }
    await clock.sleep(POLL_MS, stop.signal);
  }
  stop.done();
  if (place !== undefined) await giveUpPlace(deps, execution, place);
  return undefined;
}

/** The place under a new session; undefined when somebody else has it by now: then the execution waits beside the line. */
async function placeAgain(
  deps: ClusterGateDeps,
  execution: ActiveExecution,
  former: Place,
  incarnation: Incarnation,
): Promise<Place | undefined> {
  const { key, value } = former;
  const result = await deps.kv.txn({
    if: [absent(key)],
    then: [{ op: "put", key, value, lease: incarnation.lease }],
    else: [{ op: "get", key }],
  });
  if (result.succeeded) return { ...former, revision: result.revision, epoch: incarnation.epoch };
  const [read] = result.results;
  const found = read?.op === "get" ? read.kv : undefined;
  if (found === undefined || !isOurs(found, execution.id, incarnation)) return undefined;
  return { ...former, revision: found.createRevision, epoch: incarnation.epoch };
}

function isOurs(place: KeyValue, execution: string, incarnation: Incarnation): boolean {
  return place.lease === incarnation.lease && tryDecode<LockNext>(place.key, place.value)?.execution === execution;
}

async function giveUpPlace(deps: ClusterGateDeps, { id, job }: ActiveExecution, place: Place): Promise<void> {
  try {
    await deps.kv.txn({ if: [sameIncarnation(place.key, place.revision)], then: [{ op: "delete", key: place.key }] });
  } catch (thrown) {
    deps.log.warn({ key: place.key, error: String(thrown) }, "cannot give up the place next in line, will try again");
    deps.leftovers.follow(id, job);
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
      if (next?.replace && next.execution !== execution.id)
        return execution.kill({ by: "fleetcron", reason: `replaced by execution ${next.execution} on ${next.node}` });
      await deps.clock.sleep(POLL_MS, stop.signal);
    }
  })();
  return () => stop.abort();
}
