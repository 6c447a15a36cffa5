/** Carrying out orders: run a job now, end an execution, forget an `onlyonce` success, show a log. */
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Lock, Order } from "fleetcron-shared/model/facts";
import { compileJob } from "fleetcron-shared/model/job-compile";
import type { Outcome } from "fleetcron-shared/model/record";
import { acquireLock } from "fleetcron-shared/store/lock";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Showings } from "../logs/showings.ts";
import type { Planner } from "../plan/planner.ts";
import type { HeldLock, Origin } from "../run/execution.ts";
import type { ActiveExecution } from "../run/executions.ts";
import { refusalOf } from "./admission.ts";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import { passCommon } from "./common-gate.ts";
import { launchWithSlot } from "./launch-alone.ts";
import { takePlace, waitForLock } from "./lock-turn.ts";
import { isNotNow } from "./not-now.ts";
import { cancelled, postVerdict } from "./verdicts.ts";

const POLL_MS = 100;

export type OrderDeps = ClusterGateDeps & {
  readonly planner: Planner;
  readonly planChanged: () => void;
  readonly logs: Pick<Showings, "begin">;
};

export function carryOut(deps: OrderDeps, order: Order): void {
  if (order.type === "kill") return deps.executions.get(order.execution)?.kill({ by: order.by, reason: order.reason });
  if (order.type === "log") return deps.logs.begin(order);
  if (order.type === "withdraw") return withdraw(deps, order);
  if (order.type === "reset") {
    deps.planner.reset(`${order.group}/${order.job}`, deps.clock.now());
    return deps.planChanged();
  }
  if (deps.executions.get(order.execution) !== undefined) return;
  const job = compileJob(
    {
      group: order.group,
      id: order.job,
      revision: order.revision,
      createdAt: order.createdAt,
      updatedAt: order.updatedAt,
      submittedAt: order.submittedAt,
    },
    order.spec,
  );
  const dueMs = order.rerun?.dueAt === undefined ? undefined : fromIso(order.rerun.dueAt);
  const origin: Origin = { type: "order", orderId: order.id, ruleId: order.rerun?.ruleId, dueMs, env: order.env };
  const attempt = order.rerun?.attempt ?? 1;
  if (job.kind !== "alone") return passCommon(deps, job, origin, { execution: order.execution, attempt });
  const refusal = refusalOf(deps, job, origin);
  if (refusal !== undefined)
    return postVerdict(deps, job, origin, { type: "skipped", ...refusal }, { execution: order.execution, attempt });
  const execution = deps.executions.begin(order.execution, job, origin, attempt);
  void runAlone(deps, execution).catch((thrown: unknown) => {
    deps.log.error({ job: job.key, error: asError(thrown).message }, "an order cannot be carried out");
    giveUp(deps, execution, { type: "spawnFailed", error: `fault in the agent: ${asError(thrown).message}` });
  });
}

/** Whoever sees this has not seen the order that it withdraws. */
function withdraw(deps: OrderDeps, order: Extract<Order, { type: "withdraw" }>): void {
  const { id: orderId, execution, group, job, revision, name, by, reason } = order;
  const outcome = cancelled({ killRequest: { by, reason } });
  postVerdict(deps, { group, id: job, revision, name }, { type: "order", orderId }, outcome, { execution });
}

/** An `alone` job runs under its lock, ordered or not; `overlap` says whether the order waits for it. */
export async function runAlone(deps: OrderDeps, execution: ActiveExecution): Promise<void> {
  const lock = await lockForOrder(deps, execution);
  if ("type" in lock) return giveUp(deps, execution, lock);
  execution.lock = lock;
  execution.fence = lock.fence;
  return launchWithSlot(deps, execution);
}

function giveUp(deps: OrderDeps, execution: ActiveExecution, outcome: Outcome): void {
  if (execution.state === "ended") return;
  const { id, job, origin, attempt, lock } = execution;
  postVerdict(deps, job, origin, outcome, { execution: id, attempt, lock });
  deps.executions.move(execution, "ended");
}

/** The lock, or why the order does not get it. Etcd away: asks again, up to `holdFor`. */
async function lockForOrder(deps: OrderDeps, execution: ActiveExecution): Promise<HeldLock | Outcome> {
  const { job } = execution;
  const { clock, session } = deps;
  const key = deps.keys.lock(job.group, job.id);
  const value: Lock = { v: 1, node: deps.nodeId, execution: execution.id, at: toIso(clock.now()) };
  const giveUpMono = clock.mono() + job.holdForMs;
  const wait = execution.untilUnwanted(deps.isCurrent);
  try {
    while (!wait.signal.aborted && clock.mono() <= giveUpMono) {
      const incarnation = session.current();
      try {
        if (incarnation !== undefined) {
          const result = await acquireLock(deps.kv, { key, value: encode(value), lease: incarnation.lease });
          if (result.acquired) return { key, fence: result.fence, epoch: incarnation.epoch };
          const holder = result.holder === undefined ? undefined : tryDecode<Lock>(key, result.holder.value)?.execution;
          // One of its own, without an answer under the session before, goes with that session.
          if (holder !== execution.id) {
            if (job.overlap === "skip") return overlap(`execution ${holder} holds the lock`);
            const place = await takePlace(deps, execution, undefined);
            if (typeof place === "string") return overlap("another execution is queued already");
            return (await waitForLock(deps, execution, place)) ?? cancelled(execution);
          }
        }
      } catch (thrown) {
        if (!isNotNow(thrown)) throw thrown;
        deps.leftovers.missed(thrown, execution.id, job);
      }
      await clock.sleep(POLL_MS, wait.signal);
    }
    return wait.signal.aborted ? cancelled(execution) : { type: "skipped", reason: "isolated" };
  } finally {
    wait.done();
  }
}

function overlap(detail: string): Outcome {
  return { type: "skipped", reason: "overlap", detail };
}
