/**
 * The verdict on a range of ticks of a cluster-wide job that passed while this node could not fire them. Other nodes may have run some of them, may still hold
 * some, or speak for them at the same time: so each is claimed with its verdict, in the transaction that delivers the records. What is older than claims live
 * nobody here can know: it is left to the auditor. Etcd away: throws, and the gate asks again; what is told by then is claimed, and is not told twice.
 */
import { type EpochMs, toIso } from "fleetcron-shared/base/clock";
import type { Instants } from "fleetcron-shared/model/calendar/rule-schedule";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { type Outcome, outcomeWord } from "fleetcron-shared/model/record";
import { absent, type Kv, type Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import { claimDueMs } from "fleetcron-shared/wire/keys";
import type { TickRange } from "../plan/misfire.ts";
import type { ClaimLeases } from "../report/claim-leases.ts";
import { type VerdictDeps, verdictRecord } from "./verdicts.ts";

export type ClusterRangeDeps = VerdictDeps & { readonly kv: Kv; readonly leases: ClaimLeases; readonly nodeId: string };

export type PassedRange = {
  readonly job: Job;
  readonly ruleId: string;
  readonly instants: Instants;
  readonly range: TickRange;
  readonly outcome: Outcome;
};

/** Claims live at least so much longer than their job's misfire window (report/claim-leases.ts grants ten minutes, for clocks that differ too). */
const CLAIMS_SPARE_MS = 5 * 60_000;
/** In one transaction: claims, and records of stretches of ticks. */
const MAX_TICKS = 100;
const MAX_STRETCHES = 20;

export async function tellClusterRange(deps: ClusterRangeDeps, passed: PassedRange): Promise<void> {
  const { keys, kv, clock, leases, nodeId } = deps;
  const { job, ruleId, outcome } = passed;
  const knownFromMs = clock.now() - job.misfireWindowMs - CLAIMS_SPARE_MS;
  for (;;) {
    const stretches = openStretches(passed, knownFromMs, await claimedIn(deps, passed));
    if (stretches.length === 0) return;
    const lease = await leases.leaseFor(job.misfireWindowMs);
    const puts: Op[] = [];
    const claims: string[] = [];
    for (const ticks of stretches) {
      const [firstMs = 0] = ticks;
      const range = ticks.length === 1 ? undefined : { firstMs, lastMs: ticks.at(-1) ?? firstMs, count: ticks.length };
      const record = verdictRecord(deps, job, { type: "tick", ruleId, dueMs: firstMs }, outcome, { range });
      puts.push({ op: "put", key: keys.inboxRecord(nodeId, record.id), value: encode(record) });
      const claim: Claim = { v: 1, node: nodeId, execution: record.execution, at: toIso(clock.now()), verdict: outcomeWord(outcome) };
      const value = encode(claim);
      for (const dueMs of ticks) {
        const key = keys.claim(job.group, job.id, ruleId, dueMs);
        claims.push(key);
        puts.push({ op: "put", key, value, lease });
      }
    }
    await kv.txn({ if: claims.map(absent), then: puts });
  }
}

async function claimedIn({ kv, keys }: ClusterRangeDeps, { job, ruleId, range }: PassedRange): Promise<ReadonlySet<EpochMs | undefined>> {
  const start = keys.claim(job.group, job.id, ruleId, range.firstMs);
  const end = keys.claim(job.group, job.id, ruleId, range.lastMs + 1);
  const { kvs } = await kv.range({ start, end, keysOnly: true });
  return new Set(kvs.map(({ key }) => claimDueMs(key)));
}

/** The first ticks that nobody has claimed, those that follow each other together. */
function openStretches({ instants, range }: PassedRange, knownFromMs: EpochMs, claimed: ReadonlySet<EpochMs | undefined>): EpochMs[][] {
  const stretches: EpochMs[][] = [];
  let open: EpochMs[] | undefined;
  let ticks = 0;
  let dueMs = instants.nextAfter(Math.max(range.firstMs, knownFromMs) - 1);
  while (dueMs !== undefined && dueMs <= range.lastMs && ticks < MAX_TICKS) {
    if (claimed.has(dueMs)) open = undefined;
    else if (open !== undefined) open.push(dueMs);
    else if (stretches.length === MAX_STRETCHES) break;
    else {
      open = [dueMs];
      stretches.push(open);
    }
    if (open !== undefined) ticks++;
    dueMs = instants.nextAfter(dueMs);
  }
  return stretches;
}
