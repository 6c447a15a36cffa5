/** Carrying out orders: run a job now, end an execution, forget an `onlyonce` success. */
import { fromIso, toIso } from "fleetcron-shared/base/clock";
import { asError, isCode } from "fleetcron-shared/base/errors";
import type { Lock, Order } from "fleetcron-shared/model/facts";
import type { Job } from "fleetcron-shared/model/job";
import { compileJob } from "fleetcron-shared/model/job-compile";
import { acquireLock } from "fleetcron-shared/store/lock";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { Planner } from "../plan/planner.ts";
import type { Origin } from "../run/execution.ts";
import type { ClusterGateDeps } from "./cluster-gate.ts";
import { passCommon } from "./common-gate.ts";
import { launch } from "./launch.ts";
import { postVerdict } from "./verdicts.ts";

const POLL_MS = 100;

export type OrderDeps = ClusterGateDeps & { readonly planner: Planner; readonly planChanged: () => void };

export function carryOut(deps: OrderDeps, order: Order): void {
  if (order.type === "kill") return deps.executions.get(order.execution)?.kill({ by: order.by, reason: order.reason });
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
  void runAlone(deps, job, origin, { execution: order.execution, attempt });
}

/** An `alone` job runs under its lock, ordered or not; `overlap` says whether the order waits for it. */
async function runAlone(deps: OrderDeps, job: Job, origin: Origin, options: { execution: string; attempt: number }): Promise<void> {
  const execution = deps.executions.begin(options.execution, job, origin, options.attempt);
  const stop = new AbortController();
  execution.onKill = () => stop.abort();
  const lockKey = deps.keys.lock(job.group, job.id);
  const giveUpMono = deps.clock.mono() + Math.max(job.holdForMs, job.overlap === "skip" ? 0 : job.misfireWindowMs);
  let busyWith: string | undefined;
  while (!stop.signal.aborted && deps.clock.mono() <= giveUpMono) {
    const incarnation = deps.session.current();
    try {
      if (incarnation !== undefined) {
        const value: Lock = { v: 1, node: deps.nodeId, execution: execution.id, at: toIso(deps.clock.now()) };
        const lock = await acquireLock(deps.kv, { key: lockKey, value: encode(value), lease: incarnation.lease });
        if (lock.acquired) {
          execution.lock = { key: lockKey, fence: lock.fence, epoch: incarnation.epoch };
          execution.fence = lock.fence;
          if (!(await deps.slots.take(stop.signal))) break;
          execution.onKill = undefined;
          return launch(deps, execution);
        }
        busyWith = lock.holder === undefined ? undefined : tryDecode<Lock>(lockKey, lock.holder.value)?.execution;
        if (job.overlap === "skip") break;
      }
    } catch (thrown) {
      if (!isCode(thrown, "etcd/unreachable", "etcd/unknown-outcome", "etcd/lease-gone")) {
        deps.log.error({ job: job.key, error: asError(thrown).message }, "cannot take the lock for an order");
      }
    }
    await deps.clock.sleep(POLL_MS, stop.signal);
  }
  const reason = stop.signal.aborted ? "cancelled" : busyWith === undefined ? "isolated" : "overlap";
  const outcome = {
    type: "skipped",
    reason,
    ...(busyWith === undefined ? {} : { detail: `execution ${busyWith} holds the lock` }),
  } as const;
  postVerdict(deps, job, origin, outcome, { lock: execution.lock });
  deps.executions.move(execution, "ended");
}
