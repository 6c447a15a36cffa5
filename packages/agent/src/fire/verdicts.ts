/** Verdicts on ticks that do not run: skipped and missed records, for one tick or a range, and for cluster-wide jobs only if nobody claims the tick. */
import type { Clock, EpochMs } from "fleetcron-shared/base/clock";
import type { IdSource } from "fleetcron-shared/base/ids";
import type { Job } from "fleetcron-shared/model/job";
import { type Outcome, outcomeWord } from "fleetcron-shared/model/record";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { TickRange } from "../plan/misfire.ts";
import type { Outbox } from "../report/outbox.ts";
import type { HeldLock, Origin } from "../run/execution.ts";
import type { ActiveExecution } from "../run/executions.ts";
import { type Host, type NamedJob, recordOf } from "../run/record.ts";

export type VerdictDeps = {
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly outbox: Outbox;
  readonly host: Host;
  readonly keys: Keys;
};

type More = {
  /** The execution that the tick or order would have become; a new id where there is none. */
  readonly execution?: string | undefined;
  readonly attempt?: number | undefined;
  readonly range?: TickRange | undefined;
  readonly lock?: HeldLock | undefined;
};

/** Records that this tick or order does not run on this node. */
export function postVerdict(deps: VerdictDeps, job: NamedJob, origin: Origin, outcome: Outcome, more: More = {}): void {
  deps.outbox.post({ record: verdictRecord(deps, job, origin, outcome, more), lock: more.lock });
}

/** Records that this tick does not run anywhere, provided that no other node has claimed it. */
export function postClusterVerdict(
  deps: VerdictDeps,
  job: Job,
  tick: { readonly ruleId: string; readonly dueMs: EpochMs },
  outcome: Outcome,
  more: More = {},
): void {
  deps.outbox.post({
    record: verdictRecord(deps, job, { type: "tick", ruleId: tick.ruleId, dueMs: tick.dueMs }, outcome, more),
    claim: {
      key: deps.keys.claim(job.group, job.id, tick.ruleId, tick.dueMs),
      windowMs: job.misfireWindowMs,
      verdict: outcomeWord(outcome),
    },
  });
}

/** What became of an execution that was given up before it began. */
export function cancelled({ killRequest: request }: Pick<ActiveExecution, "killRequest">): Outcome {
  const detail = request === undefined ? "the job was edited, paused or deleted meanwhile" : `ended by ${request.by}: ${request.reason}`;
  return { type: "skipped", reason: "cancelled", detail };
}

/** The record of a tick, order or range that does not run. */
export function verdictRecord(
  deps: Pick<VerdictDeps, "clock" | "newId" | "host">,
  job: NamedJob,
  origin: Origin,
  outcome: Outcome,
  more: More,
) {
  const endMs = deps.clock.now();
  return recordOf(deps.host, {
    execution: more.execution ?? deps.newId(endMs),
    job,
    origin,
    attempt: more.attempt ?? 1,
    finalAttempt: true,
    outcome,
    success: false,
    endMs,
    range: more.range,
  });
}
