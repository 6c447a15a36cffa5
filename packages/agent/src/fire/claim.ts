/**
 * The claim protocol: a tick of an `interval` or `alone` job belongs to whoever creates its claim key; for `alone` the same transaction takes
 * the lock. The claim is keyed by the due time and never given back. Etcd away: throws `etcd/unreachable`, and the gate holds the tick; an
 * answer that was lost is looked up, so that our own claim is never taken for somebody else's.
 */
import { type Clock, type EpochMs, toIso } from "fleetcron-shared/base/clock";
import { AppError, isCode } from "fleetcron-shared/base/errors";
import type { Claim, Lock } from "fleetcron-shared/model/facts";
import { absent, type KeyValue, type Kv, type Op, type Revision } from "fleetcron-shared/store/kv";
import type { Session } from "fleetcron-shared/store/session";
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
  /** The tick was delayed by etcd's absence. */
  readonly held: boolean;
};

export type ClaimResult =
  | { readonly type: "won"; readonly fence: Revision; readonly lock: HeldLock | undefined }
  | { readonly type: "lost" }
  /** `alone`: the tick is free but the lock is taken. */
  | { readonly type: "busy"; readonly holder: Lock | undefined };

export async function claimTick(deps: ClaimDeps, request: ClaimRequest): Promise<ClaimResult> {
  if (request.look && (await deps.kv.get(request.claimKey)) !== undefined) return { type: "lost" };
  const lease = await deps.leases.leaseFor(request.windowMs);
  const incarnation = deps.session.current();
  if (incarnation === undefined) throw new AppError("etcd/unreachable", "this agent has no session with etcd at the moment");

  const at = toIso(deps.clock.now());
  const claim: Claim = { v: 1, node: deps.nodeId, execution: request.execution, at };
  const puts: Op[] = [{ op: "put", key: request.claimKey, value: encode(claim), lease }];
  const reads: Op[] = [{ op: "get", key: request.claimKey }];
  if (request.lockKey !== undefined) {
    const lock: Lock = { v: 1, node: deps.nodeId, execution: request.execution, at, ...(request.held ? { held: true } : {}) };
    puts.push({ op: "put", key: request.lockKey, value: encode(lock), lease: incarnation.lease });
    reads.push({ op: "get", key: request.lockKey });
  }
  const keys = request.lockKey === undefined ? [request.claimKey] : [request.claimKey, request.lockKey];
  try {
    const result = await deps.kv.txn({ if: keys.map(absent), then: puts, else: reads });
    if (result.succeeded) return won(request, result.revision, incarnation.epoch);
    const [claimed, locked] = result.results.map((read) => (read.op === "get" ? read.kv : undefined));
    return judge(request, claimed, locked, incarnation.epoch);
  } catch (thrown) {
    if (isCode(thrown, "etcd/lease-gone")) deps.leases.forget();
    if (!isCode(thrown, "etcd/unknown-outcome")) throw thrown;
    const claimed = await deps.kv.get(request.claimKey);
    const locked = request.lockKey === undefined ? undefined : await deps.kv.get(request.lockKey);
    if (claimed === undefined) throw new AppError("etcd/unreachable", "the claim was not written", { cause: thrown });
    return judge(request, claimed, locked, incarnation.epoch);
  }
}

function judge(request: ClaimRequest, claimed: KeyValue | undefined, locked: KeyValue | undefined, epoch: number): ClaimResult {
  if (claimed !== undefined) {
    const isOurs = tryDecode<Claim>(claimed.key, claimed.value)?.execution === request.execution;
    return isOurs ? won(request, claimed.createRevision, epoch) : { type: "lost" };
  }
  return { type: "busy", holder: locked === undefined ? undefined : tryDecode<Lock>(locked.key, locked.value) };
}

function won(request: ClaimRequest, fence: Revision, epoch: number): ClaimResult {
  return { type: "won", fence, lock: request.lockKey === undefined ? undefined : { key: request.lockKey, fence, epoch } };
}
