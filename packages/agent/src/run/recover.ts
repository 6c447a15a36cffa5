/**
 * What an earlier agent process of this node left in its journal: executions whose end nobody saw. Each gets its record, `lost`, so that no
 * tick stays without a verdict. A tick that was merely about to be claimed is looked up first: it may belong to another node, or to none.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Log } from "fleetcron-shared/base/log";
import type { Claim } from "fleetcron-shared/model/facts";
import { outcomeWord } from "fleetcron-shared/model/record";
import type { Kv } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Outbox } from "../report/outbox.ts";
import type { ExecutionTrace } from "./execution.ts";
import type { Journal } from "./journal.ts";
import { type Host, lostRecordOf } from "./record.ts";

/** The class of lease under the verdict on a tick that nobody claimed: its job's own window is not known any more. */
const CLAIM_WINDOW_MS = 3_600_000;
const HOLD_SPARE_MS = 5000;

type Deps = {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Log;
  readonly keys: Keys;
  readonly journal: Journal;
  readonly outbox: Outbox;
  readonly host: Host;
  readonly bootId: string;
};

export async function recoverExecutions(deps: Deps): Promise<void> {
  for (const row of deps.journal.executions()) {
    const trace = JSON.parse(row.data) as ExecutionTrace;
    const owner = await ownerOf(deps, row.id, trace);
    if (owner === "ours") {
      // The attempt before a retry delay has its record already; lost is the one that would have followed.
      const lost = trace.state === "waiting" ? { ...trace, attempt: trace.attempt + 1 } : trace;
      deps.outbox.post({ record: lostRecordOf(deps.host, row.id, lost, deps.bootId, deps.clock.now()) });
      deps.log.warn(
        { execution: row.id, job: `${trace.jobGroup}/${trace.jobId}`, state: trace.state },
        "an execution was lost with the agent's earlier process",
      );
    }
    if (owner === "nobody") verdictLater(deps, row.id, trace);
    else deps.journal.removeExecution(row.id);
  }
  deps.journal.commit();
}

/** Nobody has the tick so far, but other nodes may be holding it: once that is over it has its verdict, unless it is claimed by then. */
function verdictLater(deps: Deps, execution: string, trace: ExecutionTrace): void {
  const { jobGroup, jobId, ruleId = "", dueMs = 0 } = trace;
  const now = deps.clock.now();
  const record = lostRecordOf(deps.host, execution, trace, deps.bootId, now);
  const key = deps.keys.claim(jobGroup, jobId, ruleId, dueMs);
  deps.clock.after(dueMs + (trace.holdForMs ?? 0) + HOLD_SPARE_MS - now, () => {
    deps.outbox.post({ record, claim: { key, windowMs: CLAIM_WINDOW_MS, verdict: outcomeWord(record.outcome) } });
    deps.journal.removeExecution(execution);
  });
}

/** Whose tick it was: only one of a cluster-wide job that was about to be claimed can be somebody else's, or nobody's. */
async function ownerOf(deps: Deps, execution: string, trace: ExecutionTrace): Promise<"ours" | "other" | "nobody"> {
  const { state, kind, ruleId, dueMs, orderId } = trace;
  if (state !== "claimed" || kind === "common" || ruleId === undefined || dueMs === undefined || orderId !== undefined) return "ours";
  const key = deps.keys.claim(trace.jobGroup, trace.jobId, ruleId, dueMs);
  const found = await deps.kv.get(key);
  if (found === undefined) return "nobody";
  return tryDecode<Claim>(key, found.value)?.execution === execution ? "ours" : "other";
}
