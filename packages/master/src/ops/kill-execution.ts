/** Orders the agent that runs an execution to end it with its whole process tree. */
import { toIso } from "fleetcron-shared/base/clock";
import { AppError } from "fleetcron-shared/base/errors";
import type { Order } from "fleetcron-shared/model/facts";
import { outcomeWord } from "fleetcron-shared/model/record";
import { tryDecode } from "fleetcron-shared/wire/codec";
import type { KillResult } from "../http/api-schema.ts";
import { findExecutionRecords } from "./find-records.ts";
import type { OpsDeps } from "./ops-deps.ts";
import { putOrders } from "./put-orders.ts";
import { scanPrefix } from "./scan.ts";

/** Throws `execution/not-found`, `execution/ended`. */
export async function killExecution(deps: OpsDeps, execution: string, reason: string | undefined, by: string): Promise<KillResult> {
  const node = runningOn(deps, execution) ?? (await orderedTo(deps, execution));
  const records = await findExecutionRecords(deps, execution, undefined);
  const last = records.at(-1);
  if (last?.finalAttempt) {
    throw new AppError("execution/ended", `execution ${execution} has ended: ${outcomeWord(last.outcome)} at ${last.endTime}`);
  }
  const target = node ?? last?.nodeId;
  if (target === undefined) {
    throw new AppError("execution/not-found", `no execution ${execution} is known to run`, {
      hint: "one that runs for less than half a second is not listed; `fleetcron run ls` shows what runs",
    });
  }
  const id = deps.newId();
  await putOrders(
    deps,
    [],
    [{ node: target, order: { v: 1, type: "kill", id, execution, by, reason: reason ?? "", orderedAt: toIso(deps.clock.now()) } }],
  );
  return { order: id, node: target, execution };
}

function runningOn(deps: OpsDeps, execution: string): string | undefined {
  for (const [, entry] of deps.views.procs.entries()) if (entry.proc.execution === execution) return entry.node;
  return undefined;
}

/** An execution that was ordered and shows no process (yet) can be found by its order. */
async function orderedTo(deps: OpsDeps, execution: string): Promise<string | undefined> {
  for await (const kv of scanPrefix(deps.kv, deps.keys.ordersAll)) {
    const order = tryDecode<Order>(kv.key, kv.value);
    if (order?.type === "run" && order.execution === execution) return deps.keys.parts(kv.key)[1];
  }
  return undefined;
}
