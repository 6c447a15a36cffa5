/**
 * Going on with what an earlier agent process of this node had begun (run/recover.ts). The lock of an `alone` execution is carried over to the new session, as
 * long as it is still its own; if it is too late for that, the spawner ends the process at the deadline that it has. Etcd away: likewise.
 */
import { toIso } from "fleetcron-shared/base/clock";
import { asError } from "fleetcron-shared/base/errors";
import type { Lock, LockNext } from "fleetcron-shared/model/facts";
import type { Outcome } from "fleetcron-shared/model/record";
import { unchanged } from "fleetcron-shared/store/kv";
import { carryLock } from "fleetcron-shared/store/lock";
import { encode, tryDecode } from "fleetcron-shared/wire/codec";
import type { ActiveExecution } from "../run/executions.ts";
import type { Resumed } from "../run/recover.ts";
import type { Running } from "../run/supervisor.ts";
import { passCommon } from "./common-gate.ts";
import { passInTurn, type Waiting } from "./in-turn.ts";
import { launchReplaceable, launchWithSlot } from "./launch-alone.ts";
import { type OrderDeps, runAlone } from "./orders.ts";
import { postVerdict } from "./verdicts.ts";

/** Processes first: they need nothing but their lock. */
export function resumeProcesses(deps: OrderDeps, resumed: readonly Resumed[]): void {
  for (const { execution, running } of resumed) {
    if (running === undefined) {
      deps.procs.waits(execution);
      continue;
    }
    deps.slots.occupy();
    if (execution.lock !== undefined) void keepLock(deps, execution, running);
    void launchReplaceable(deps, execution, running);
  }
}

/** Waits and starts, once the plan is known: their job may have changed meanwhile. */
export function resumeWaits(deps: OrderDeps, resumed: readonly Resumed[]): void {
  const waits = resumed.flatMap(({ execution, running }) => (running === undefined ? [execution] : []));
  const isCommonStart = ({ job, state }: ActiveExecution) => job.kind === "common" && state === "claimed";
  // Both before anything is begun: that changes the state by which they are told apart.
  const [commonStarts, others] = [waits.filter(isCommonStart), waits.filter((wait) => !isCommonStart(wait))];
  resumeCommon(deps, commonStarts);
  for (const execution of others) {
    void resumeWait(deps, execution).catch((thrown: unknown) => {
      deps.log.error({ execution: execution.id, error: asError(thrown).message }, "an execution cannot be resumed");
      giveUp(deps, execution, { type: "lost", why: "agentStopped" });
    });
  }
}

async function resumeWait(deps: OrderDeps, execution: ActiveExecution): Promise<void> {
  const { job, id } = execution;
  if (execution.lock !== undefined && !(await keepLock(deps, execution, undefined))) return giveUp(deps, execution, { type: "lockLost" });
  if (execution.state === "waiting") return launchReplaceable(deps, execution);
  deps.procs.waited(id);
  if (job.kind === "alone" && execution.lock === undefined && !(await findLock(deps, execution))) {
    await dropPlace(deps, execution);
    return runAlone(deps, execution);
  }
  return launchWithSlot(deps, execution);
}

/** As if they were due now: overlap and capacity decide again. Those of one job in turn, unless they may overlap. */
function resumeCommon(deps: OrderDeps, executions: readonly ActiveExecution[]): void {
  for (const execution of executions) {
    deps.procs.waited(execution.id);
    deps.executions.shelve(execution);
  }
  for (const ofJob of Map.groupBy(executions, ({ job }) => job.key).values()) {
    const [{ job }] = ofJob as [ActiveExecution];
    const waiting = ofJob.map(({ id, origin, attempt }) => ({ execution: id, origin, attempt }));
    const pass = ({ origin, ...ids }: Waiting) => passCommon(deps, job, origin, { ...ids, isLetIn: true });
    if (job.overlap === "allow") waiting.forEach(pass);
    else void passInTurn(deps, job, waiting, pass);
  }
}

/** The place in the line that it had under the session before would be in its own way. */
async function dropPlace(deps: OrderDeps, execution: ActiveExecution): Promise<void> {
  const key = deps.keys.lockNext(execution.job.group, execution.job.id);
  const found = await deps.kv.get(key);
  if (found === undefined || tryDecode<LockNext>(key, found.value)?.execution !== execution.id) return;
  await deps.kv.txn({ if: [unchanged(key, found.modRevision)], then: [{ op: "delete", key }] });
}

/** The claim of an `alone` tick came with the lock, which nobody had noted yet. */
async function findLock(deps: OrderDeps, execution: ActiveExecution): Promise<boolean> {
  const key = deps.keys.lock(execution.job.group, execution.job.id);
  const found = await deps.kv.get(key);
  if (found === undefined || tryDecode<Lock>(key, found.value)?.execution !== execution.id) return false;
  execution.lock = { key, fence: found.createRevision, epoch: -1 };
  execution.fence = found.createRevision;
  return keepLock(deps, execution, undefined);
}

/** Puts the lock under the present session, on condition that it is still ours. False when it is not. */
async function keepLock(deps: OrderDeps, execution: ActiveExecution, running: Running | undefined): Promise<boolean> {
  const { lock } = execution;
  if (lock === undefined) return true;
  const { key, fence } = lock;
  try {
    const incarnation = await deps.session.trusted();
    const value: Lock = { v: 1, node: deps.nodeId, execution: execution.id, at: toIso(deps.clock.now()) };
    if (!(await carryLock(deps.kv, { key, value: encode(value), lease: incarnation.lease, fence }))) {
      running?.extend(deps.clock.mono());
      return false;
    }
    execution.lock = { key, fence, epoch: incarnation.epoch };
    running?.extend(incarnation.trustedUntil());
    return true;
  } catch (thrown) {
    deps.log.warn({ execution: execution.id, error: asError(thrown).message }, "a lock cannot be carried over");
    return false;
  }
}

function giveUp(deps: OrderDeps, execution: ActiveExecution, outcome: Outcome): void {
  if (execution.state === "ended") return;
  deps.procs.waited(execution.id);
  const { id, job, origin, state, lock } = execution;
  // The attempt before a retry delay has its record already.
  const attempt = state === "waiting" ? execution.attempt + 1 : execution.attempt;
  postVerdict(deps, job, origin, outcome, { execution: id, attempt, lock });
  deps.executions.move(execution, "ended");
}
