/**
 * The lock of an `alone` job is taken when a tick is due: is the execution before it really still under way? A lock can come back late,
 * when etcd was slow or away as its holder ended. Then the tick is delayed, not overlapped. What the holder says when it gives the lock back
 * (`locks/<group>/<job>/last`) decides. Etcd away meanwhile: the tick is delayed.
 */
import { type EpochMs, fromIso } from "fleetcron-shared/base/clock";
import { isCode } from "fleetcron-shared/base/errors";
import type { Lock, LockLast } from "fleetcron-shared/model/facts";
import type { Outcome } from "fleetcron-shared/model/record";
import type { KeyValue } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import type { ClusterTick } from "./cluster-tick.ts";
import { settledBy } from "./lane.ts";
import { isNotNow } from "./not-now.ts";

/** A lock that is not back by then belongs to an execution that runs. */
const COMES_BACK_MS = 3000;
const POLL_MS = 250;
/** So many may have had the lock between two looks. */
const MAX_TURNS = 20;

/** `lost`: somebody else has the tick. `delayedUntilMs`: it is delayed, and so are others of its job that are due before then. */
export type Judgement = "overlap" | "lost" | { readonly delayedUntilMs: EpochMs };

/** Waits until the lock comes back or surely will not, and says what that means for the tick. */
export async function judgeBusyLock(deps: ClusterGateDeps, tick: ClusterTick, holder: Lock | undefined): Promise<Judgement> {
  const { kv, keys, clock } = deps;
  const { group, id } = tick.job;
  const wanted = [keys.claim(group, id, tick.ruleId, tick.dueMs), keys.lock(group, id), keys.lockLast(group, id)];
  const untilMono = clock.mono() + COMES_BACK_MS;
  for (let lock: Lock | undefined = holder; ; await clock.sleep(POLL_MS)) {
    if (isDelayedBy(lock, tick)) return { delayedUntilMs: delaysUntil(lock) };
    try {
      const { results } = await kv.txn({ then: wanted.map((key) => ({ op: "get", key })) });
      const [claim, current, last] = results.map((read) => (read.op === "get" ? read.kv : undefined));
      if (claim !== undefined) return "lost";
      lock = decoded<Lock>(current);
      if (isDelayedBy(lock, tick)) continue;
      if (lock === undefined || lock.execution !== holder?.execution) return afterwards(tick, await endOf(deps, holder, last), clock.now());
    } catch (thrown) {
      if (!isNotNow(thrown)) throw thrown;
      return { delayedUntilMs: settledBy(clock.now()) };
    }
    if (clock.mono() >= untilMono) return "overlap";
  }
}

/** Whether the holder works off what was delayed, and the tick is part of that. */
export function isDelayedBy(lock: Lock | undefined, tick: Pick<ClusterTick, "dueMs">): boolean {
  return tick.dueMs < delaysUntil(lock);
}

function delaysUntil(lock: Lock | undefined): EpochMs {
  return (lock?.delaysUntil === undefined ? undefined : fromIso(lock.delaysUntil)) ?? Number.NEGATIVE_INFINITY;
}

/**
 * The lock has changed hands: did its holder end before the tick was due? When nobody knows, the tick gets the benefit of the doubt. What it is late now, it will
 * end late, and is no overlap for what is due within that.
 */
function afterwards({ dueMs }: ClusterTick, endedMs: EpochMs | undefined, nowMs: EpochMs): Judgement {
  return endedMs !== undefined && endedMs > dueMs ? "overlap" : { delayedUntilMs: nowMs + (nowMs - dueMs) };
}

/** When the holder has ended, by what it said when it gave the lock back. Others may have had the lock since: what they said is looked behind. */
async function endOf({ kv }: ClusterGateDeps, holder: Lock | undefined, newest: KeyValue | undefined): Promise<EpochMs | undefined> {
  let found = newest;
  for (let turn = 0; found !== undefined && turn < MAX_TURNS; turn++) {
    const last = decoded<LockLast>(found);
    if (last?.execution === holder?.execution) return last && fromIso(last.endedAt);
    const { key, modRevision } = found;
    try {
      [found] = (await kv.range({ start: key, end: `${key}\0`, revision: modRevision - 1 })).kvs;
    } catch (thrown) {
      if (isCode(thrown, "etcd/compacted")) return undefined;
      throw thrown;
    }
  }
  return undefined;
}

function decoded<T extends { readonly v: 1 }>(found: KeyValue | undefined): T | undefined {
  return found === undefined ? undefined : tryDecode<T>(found.key, found.value);
}

/** The verdict on a tick that found the lock with an execution that is under way. */
export function overlapWith(holder: Lock | undefined): Outcome {
  const detail = holder === undefined ? {} : { detail: `execution ${holder.execution} on ${holder.node} holds the lock` };
  return { type: "skipped", reason: "overlap", ...detail };
}
