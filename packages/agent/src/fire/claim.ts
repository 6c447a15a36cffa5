/**
 * The claim protocol: a tick of an `interval` or `alone` job belongs to whoever creates its claim key; for `alone` the same transaction takes
 * the lock. The claim is keyed by the due time and never given back. Etcd away: throws, and the gate holds the tick and asks again with the
 * same execution id, so that a claim of ours whose answer was lost is never taken for somebody else's.
 */
import { type Clock, type EpochMs, toIso } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import type { Claim, Lock } from "fleetcron-shared/model/facts";
import { absent, type KeyValue, type Kv, type Op, type Revision } from "fleetcron-shared/store/kv";
import { acquireLock, carryLock } from "fleetcron-shared/store/lock";
import type { Incarnation, Session } from "fleetcron-shared/store/session";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { ClaimLeases } from "../report/claim-leases.ts";
import type { HeldLock } from "../run/execution.ts";

export type ClaimDeps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly session: Session;
  readonly leases: ClaimLeases;
  readonly nodeId: string;
};

export type ClaimRequest = {
  readonly execution: string;
  readonly claimKey: string;
  /** Present for `alone`. */
  readonly lockKey: string | undefined;
  readonly windowMs: number;
  readonly dueMs: EpochMs;
  /** Read before writing: for all but the first in rank, so that a tick costs the fleet one transaction. */
  readonly look: boolean;
  /** The tick was delayed; ticks due before then are, too. */
  readonly delaysUntilMs: EpochMs | undefined;
};

export type ClaimResult =
  | { readonly type: "won"; readonly fence: Revision; readonly lock: HeldLock | undefined }
  | { readonly type: "lost" }
  /** `alone`: nobody else has the tick, but the lock is taken. */
  | { readonly type: "busy"; readonly holder: Lock | undefined };

export async function claimTick(deps: ClaimDeps, request: ClaimRequest): Promise<ClaimResult> {
  const incarnation = deps.session.current();
  if (incarnation === undefined) throw new AppError("etcd/unreachable", "this agent has no session with etcd at the moment");
  if (request.look) {
    const found = await deps.kv.get(request.claimKey);
    if (found !== undefined) return judge(deps, request, incarnation, found, undefined);
  }
  const lease = await deps.leases.leaseFor(request.windowMs);
  const claim: Claim = { v: 1, node: deps.nodeId, execution: request.execution, at: toIso(deps.clock.now()) };
  const puts: Op[] = [{ op: "put", key: request.claimKey, value: encode(claim), lease }];
  const keys = [request.claimKey];
  if (request.lockKey !== undefined) {
    keys.push(request.lockKey);
    puts.push({ op: "put", key: request.lockKey, value: lockValue(deps, request), lease: incarnation.lease });
  }
  try {
    const result = await deps.kv.txn({ if: keys.map(absent), then: puts, else: keys.map((key) => ({ op: "get", key })) });
    if (result.succeeded) return won(request, result.revision, incarnation);
    const [claimed, locked] = result.results.map((read) => (read.op === "get" ? read.kv : undefined));
    return await judge(deps, request, incarnation, claimed, locked);
  } catch (thrown) {
    if (isCode(thrown, "etcd/lease-gone")) deps.leases.forget();
    throw thrown;
  }
}

async function judge(
  deps: ClaimDeps,
  request: ClaimRequest,
  incarnation: Incarnation,
  claimed: KeyValue | undefined,
  locked: KeyValue | undefined,
): Promise<ClaimResult> {
  if (claimed === undefined) return { type: "busy", holder: decodeLock(locked) };
  if (tryDecode<Claim>(claimed.key, claimed.value)?.execution !== request.execution) return { type: "lost" };
  if (request.lockKey === undefined) return won(request, claimed.createRevision, incarnation);
  // Ours from an earlier try. The lock that came with it may have gone with its session: what is held counts.
  const found = locked ?? (await deps.kv.get(request.lockKey));
  if (found !== undefined && decodeLock(found)?.execution === request.execution) {
    const fence = found.createRevision;
    if (found.lease === incarnation.lease) return won(request, fence, incarnation);
    // It is under the session before this one, and stays until that has expired: it is carried over.
    const own = { key: request.lockKey, value: lockValue(deps, request), lease: incarnation.lease, fence };
    if (await carryLock(deps.kv, own)) return won(request, fence, incarnation);
  }
  const lock = await acquireLock(deps.kv, { key: request.lockKey, value: lockValue(deps, request), lease: incarnation.lease });
  return lock.acquired ? won(request, lock.fence, incarnation) : { type: "busy", holder: decodeLock(lock.holder) };
}

function won(request: ClaimRequest, fence: Revision, { epoch }: Incarnation): ClaimResult {
  return { type: "won", fence, lock: request.lockKey === undefined ? undefined : { key: request.lockKey, fence, epoch } };
}

function lockValue(deps: ClaimDeps, request: ClaimRequest): string {
  const lock: Lock = {
    v: 1,
    node: deps.nodeId,
    execution: request.execution,
    at: toIso(deps.clock.now()),
    ...(request.delaysUntilMs === undefined ? {} : { delaysUntil: toIso(request.delaysUntilMs) }),
  };
  return encode(lock);
}

function decodeLock(found: KeyValue | undefined): Lock | undefined {
  return found === undefined ? undefined : tryDecode<Lock>(found.key, found.value);
}
