/** Verdicts on ticks that do not run: skipped and missed records, for one tick or a range, and for cluster-wide jobs only if nobody claims the tick. */
import type { Clock, EpochMs } from "fleetcron-shared/base/clock";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Job } from "fleetcron-shared/model/job";
import { type Outcome, outcomeWord } from "fleetcron-shared/model/record";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { TickRange } from "../plan/misfire.ts";
import type { Outbox } from "../report/outbox.ts";
import type { HeldLock, Origin } from "../run/execution.ts";
import { type Host, recordOf } from "../run/record.ts";

export type VerdictDeps = {
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly outbox: Outbox;
  readonly host: Host;
  readonly keys: Keys;
};

/** Records that this tick or order does not run on this node. */
export function postVerdict(
  deps: VerdictDeps,
  job: Job,
  origin: Origin,
  outcome: Outcome,
  more: { range?: TickRange; lock?: HeldLock | undefined } = {},
): void {
  deps.outbox.post({ record: verdictRecord(deps, job, origin, outcome, more.range), lock: more.lock });
}

/** Records that this tick does not run anywhere, provided that no node has claimed it. */
export function postClusterVerdict(deps: VerdictDeps, job: Job, ruleId: string, dueMs: EpochMs, outcome: Outcome, range?: TickRange): void {
  deps.outbox.post({
    record: verdictRecord(deps, job, { type: "tick", ruleId, dueMs }, outcome, range),
    claim: { key: deps.keys.claim(job.group, job.id, ruleId, dueMs), windowMs: job.misfireWindowMs, verdict: outcomeWord(outcome) },
  });
}

function verdictRecord(deps: VerdictDeps, job: Job, origin: Origin, outcome: Outcome, range: TickRange | undefined) {
  const endMs = deps.clock.now();
  return recordOf(deps.host, {
    execution: deps.newId(endMs),
    job,
    origin,
    attempt: 1,
    finalAttempt: true,
    outcome,
    success: false,
    endMs,
    range,
  });
}
