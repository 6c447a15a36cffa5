/** Which steps (kill-points.ts) the transaction of a change is, by what goes into it. Pure. */
import { isRunEnd } from "fleetcron-shared/model/pipeline/run-document";
import type { Keys } from "fleetcron-shared/wire/keys";
import { STEPS, type Step } from "../kill-points.ts";
import type { RunAddition, RunChange } from "./advance-txn.ts";
import type { WaitingRequest } from "./request-queue.ts";

/** In the order of `STEPS`. */
export function stepsOf(
  keys: Pick<Keys, "outbox">,
  { effects }: RunChange,
  requests: readonly WaitingRequest[],
  also: RunAddition,
): Step[] {
  const found = new Set<Step>();
  for (const { request } of requests) {
    const { event } = request;
    if (event.type === "ended") found.add("takeEnd");
    else if (event.type === "decide") found.add(event.kind);
    else if (event.type === "status" || event.type === "cancel" || event.type === "rerun") found.add(event.type);
  }
  for (const effect of effects) {
    if (effect.type === "order") found.add("order");
    if (effect.type === "run" && effect.from === "queued" && effect.to === "active") found.add("start");
    if (effect.type === "run" && isRunEnd(effect.to)) found.add("finish");
  }
  if (also.then.some(({ op, ...of }) => op === "put" && "key" in of && of.key.startsWith(keys.outbox))) found.add("notify");
  return STEPS.filter((step) => found.has(step));
}
