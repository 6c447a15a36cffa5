/**
 * What an earlier agent process of this node left in its journal: executions whose end nobody saw. Each gets its record, `lost`, so that no
 * tick stays without a verdict. A tick that was merely about to be claimed is looked up first: it may belong to another node.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Log } from "fleetcron-shared/base/log";
import type { Claim } from "fleetcron-shared/model/facts";
import type { Kv } from "fleetcron-shared/store/kv";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import type { Outbox } from "../report/outbox.ts";
import type { ExecutionTrace } from "./execution.ts";
import type { Journal } from "./journal.ts";
import { type Host, lostRecordOf } from "./record.ts";

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
    if (await wasOurs(deps, row.id, trace)) {
      // The attempt before a retry delay has its record already; lost is the one that would have followed.
      const lost = trace.state === "waiting" ? { ...trace, attempt: trace.attempt + 1 } : trace;
      deps.outbox.post({ record: lostRecordOf(deps.host, row.id, lost, deps.bootId, deps.clock.now()) });
      deps.log.warn(
        { execution: row.id, job: `${trace.jobGroup}/${trace.jobId}`, state: trace.state },
        "an execution was lost with the agent's earlier process",
      );
    }
    deps.journal.removeExecution(row.id);
  }
  deps.journal.commit();
}

async function wasOurs(deps: Deps, execution: string, trace: ExecutionTrace): Promise<boolean> {
  if (
    trace.state !== "claimed" ||
    trace.kind === "common" ||
    trace.ruleId === undefined ||
    trace.dueMs === undefined ||
    trace.orderId !== undefined
  )
    return true;
  const key = deps.keys.claim(trace.jobGroup, trace.jobId, trace.ruleId, trace.dueMs);
  const found = await deps.kv.get(key);
  return found !== undefined && tryDecode<Claim>(key, found.value)?.execution === execution;
}
