/** The orders that start and end executions of tasks. Pure. */
import type { Order } from "fleetcron-shared/model/facts";
import type { JobSpec } from "fleetcron-shared/model/job-spec";
import { type Effect, planTaskOf } from "fleetcron-shared/model/pipeline/draft";
import { type ResolvedParam, renderJob } from "fleetcron-shared/model/pipeline/params";
import type { RunPlan } from "fleetcron-shared/model/pipeline/plan";
import { taskOrderId } from "fleetcron-shared/model/pipeline/request";
import type { RunDocument } from "fleetcron-shared/model/pipeline/run-document";
import { producersOf, resolveFor } from "fleetcron-shared/model/pipeline/settle";
import type { LeaseId, Op } from "fleetcron-shared/store/kv";
import { encode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";

/** Executions of one job on one node do not wait for each other, unless the job says so. */
const AT_ONCE = 1000;

type OrderContext = {
  readonly keys: Keys;
  readonly lease: LeaseId;
  readonly plan: RunPlan;
  readonly run: RunDocument;
  readonly orderedAt: string;
  /** Where a master answers, for commands that report. */
  readonly api: string | undefined;
};

/** Puts the order to run. */
export function startOrder(context: OrderContext, effect: Extract<Effect, { type: "order" }>, token: string | undefined): Op {
  const { keys, lease, plan, run, orderedAt, api } = context;
  const task = planTaskOf(plan, effect.task);
  const job = jobOf(plan, effect.task);
  const { params } = resolveFor(plan, task, producersOf(plan, run));
  const id = taskOrderId({ run: run.id, ...effect });
  const { group, id: jobId, spec, ...rest } = job;
  const order: Order = {
    ...{ v: 1, type: "run", id, execution: effect.execution, group, job: jobId, ...rest },
    spec: taskSpec(spec, params),
    by: run.by,
    orderedAt,
    env: {
      FLEETCRON_RUN: run.id,
      FLEETCRON_TASK: effect.task,
      ...(api === undefined ? {} : { FLEETCRON_API: api }),
      ...(token === undefined ? {} : { FLEETCRON_TASK_TOKEN: token }),
    },
  };
  return { op: "put", key: keys.order(effect.node, id), value: encode(order), lease };
}

/** Puts the order to end an execution, and withdraws the one to begin it, should the node not have seen it yet. */
export function endOrder(context: Omit<OrderContext, "api">, effect: Omit<Extract<Effect, { type: "kill" }>, "type">): Op[] {
  const { keys, lease, plan, run, orderedAt } = context;
  const { node, execution, reason } = effect;
  const about = { execution, by: run.cancel?.by ?? "pipeline", reason, orderedAt };
  const kill: Order = { v: 1, type: "kill", id: `kill-${execution}`, ...about };
  const { group, id: job, revision, spec } = jobOf(plan, effect.task);
  const name = spec.name ?? job;
  const withdraw: Order = { v: 1, type: "withdraw", id: taskOrderId({ run: run.id, ...effect }), group, job, revision, name, ...about };
  return [kill, withdraw].map((order) => ({ op: "put", key: keys.order(node, order.id), value: encode(order), lease }));
}

function jobOf(plan: RunPlan, task: string) {
  const { job } = planTaskOf(plan, task);
  const found = plan.jobs[job];
  if (found === undefined) throw new Error(`the plan of run ${plan.run} has no job ${job}`);
  return found;
}

/** The job as a task runs it: its params worked in, without the schedule, once per order. */
function taskSpec(spec: JobSpec, params: readonly ResolvedParam[]): JobSpec {
  const { onNodeLost: _lost, misfire: _misfire, misfireWindow: _window, pause: _pause, kind, ...rest } = renderJob(spec, params);
  if (kind === "alone") return { ...rest, kind, rules: [], overlap: rest.overlap ?? "queue" };
  const overlap = rest.overlap ?? "allow";
  return { ...rest, kind: "common", rules: [], overlap, ...(overlap === "allow" ? { parallel: rest.parallel ?? AT_ONCE } : {}) };
}
